"""How far the tracking server has been brought: remembered durably, per server and run, after it accepted the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ticketlab.files import read_sealed, sha256_bytes, write_sealed
from ticketlab.tracking.journal import Mark, batches
from ticketlab.tracking.outbox import Journal, Outbox, TrackedRun


@dataclass(frozen=True)
class Delivery:
    """What was done: metric rows delivered, rows still waiting, and the problem that stopped or marred it, if any.

    `ended` names the runs that a crash had left running, if these were looked for.
    """

    delivered: int
    pending: int
    problem: str | None
    ended: Sequence[str] = ()


@dataclass
class Cursor:
    """What the server has of one run.

    `experiment` tells one database from the next at the same address; `described` is a digest of name, parameters and
    tags sent, `closed` the status sent, `artifacts` has sha256 by place; `removed` says that somebody deleted the run
    in MLflow, where it stays deleted.
    """

    experiment: str = ""
    run_id: str = ""
    described: str = ""
    closed: str = ""
    marks: dict[str, Mark] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    removed: bool = False

    def mark(self, journal: Journal) -> Mark:
        """Where the reading of that journal goes on."""
        return self.marks.get(_name(journal), Mark())

    def set_mark(self, journal: Journal, mark: Mark) -> None:
        """Remember where the reading of that journal goes on."""
        self.marks[_name(journal)] = mark

    def not_finite(self) -> dict[str, int]:
        """How many values of each metric were inf or NaN, over all journals."""
        total: dict[str, int] = {}
        for mark in self.marks.values():
            for name, count in mark.not_finite.items():
                total[name] = total.get(name, 0) + count
        return total

    def unreadable(self) -> list[str]:
        """Where rows were not what was written, a phrase for each journal."""
        return [
            f"{mark.unreadable}, from line {mark.spoilt} of {name.partition(':')[2]} on"
            for name, mark in sorted(self.marks.items())
            if mark.unreadable
        ]


class Cursors:
    """The cursors of one outbox for one server, a file each; losing them costs time, never a row too many."""

    def __init__(self, outbox: Outbox, server: str) -> None:
        self.folder = outbox.folder / "delivered" / sha256_bytes(server.encode())[:16]

    def get(self, key: str) -> Cursor:
        """The cursor of that run; a fresh one if there is none, or none that can be read."""
        try:
            fields = read_sealed(self.folder / f"{key}.json")
            fields["marks"] = {name: Mark(**mark) for name, mark in fields["marks"].items()}
            return Cursor(**fields)
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
            return Cursor()

    def put(self, key: str, cursor: Cursor) -> None:
        """Remember, atomically and durably."""
        write_sealed(self.folder / f"{key}.json", asdict(cursor))

    def forget(self, key: str) -> None:
        """Send everything of that run again, the next time."""
        (self.folder / f"{key}.json").unlink(missing_ok=True)


def pending_rows(outbox: Outbox, project: Path, cursors: Cursors) -> int:
    """How many metric rows of all runs wait to be sent."""
    return sum(_pending(run, project, cursors.get(run.key)) for run in outbox.readable()[0])


def waiting_journals(outbox: Outbox, project: Path, cursors: Cursors) -> set[str]:
    """The journals, relative to the project, from which rows of any run wait to be sent."""
    found = set()
    for run in outbox.runs():
        cursor = cursors.get(run.key)
        for journal in () if cursor.removed else run.journals:
            if any(batch.rows for batch in batches(project / journal.path, journal, cursor.mark(journal))):
                found.add(journal.path)
    return found


def _pending(run: TrackedRun, project: Path, cursor: Cursor) -> int:
    if cursor.removed:
        return 0
    return sum(
        len(batch.rows)
        for journal in run.journals
        for batch in batches(project / journal.path, journal, cursor.mark(journal))
    )


def _name(journal: Journal) -> str:
    return f"{journal.prefix}:{journal.path}"
