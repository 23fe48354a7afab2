"""What can go wrong for a user, said in three parts: what happened, where, and how to mend it."""

from __future__ import annotations

from unicodedata import category

_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""What turns the direction in which text is shown, so that it is read otherwise than it is."""


class TicketlabError(Exception):
    """An error a user can act on; the command line prints it on one screen and exits with `exit_code`."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.mend:
            lines.append(f"  -> {self.mend}")
        return harmless("\n".join(lines))


def harmless(text: str) -> str:
    """Text with what a terminal obeys, ends of lines apart, as escapes: a message quotes names that come from anywhere."""
    return "".join(map(_shown, text))


def is_line(text: object) -> bool:
    """Whether this is text that can be shown in a line of a terminal as it stands."""
    return isinstance(text, str) and harmless(text) == text and "\n" not in text


def _shown(character: str) -> str:
    obeyed = category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNING
    return character.encode("unicode_escape").decode() if obeyed and character != "\n" else character


class SpecError(TicketlabError):
    """A spec that cannot be accepted: position, path in the spec, what was found, what is allowed."""

    exit_code = 2


class DataError(TicketlabError):
    """A dataset that is missing, truncated, or not what it claims to be."""


class CorruptFile(TicketlabError):
    """A ticket, checkpoint, statistics or store file whose content is not what was written."""


class EnvironmentProblem(TicketlabError):
    """A device, package version or folder that the run needs and does not have."""


class Diverged(TicketlabError):
    """Training produced a value that is not finite."""

    exit_code = 3


class Shortfall(TicketlabError):
    """A pruning rule that lets equal scores go together left fewer weights than the spec asks for."""

    exit_code = 3


class StepFailed(TicketlabError):
    """A step of a run broke: memory ran out, a file could not be written, the code was edited while it ran."""

    exit_code = 3


class TrackingError(TicketlabError):
    """MLflow or DVC could not be reached or refused; never raised into a training loop."""


class LedgerError(TicketlabError):
    """A ledger whose chain is broken, or an entry that cannot be found."""


class Interrupted(TicketlabError):
    """The user asked to stop (SIGINT, SIGTERM); everything up to the last step is kept."""

    exit_code = 130
