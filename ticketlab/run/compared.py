"""A run and the same run done again, compared: file by file and step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from ticketlab.errors import CorruptFile
from ticketlab.files import sha256_file
from ticketlab.ledger.facts import Artifact, RunFacts, StepFact

BAND = 1e-2
"""Relative difference up to which a metric measured on another machine counts as the same."""

TICKET = "ticket.safetensors"

Finding = Literal["IDENTICAL", "WITHIN BAND", "DIFFERS"]


@dataclass(frozen=True)
class Compared:
    """One thing compared, and for one that differs the first output (or file) that does.

    `mask_agreement`, of a ticket that differs, is the share of the weights that both tickets keep or both prune, in
    [0, 1]; None where it cannot be said, as the recorded ticket is not there or has other layers.
    """

    name: str
    finding: Finding
    where: str = ""
    mask_agreement: float | None = None

    @property
    def said(self) -> str:
        """The name, and of masks that differ how much of them does not."""
        if self.mask_agreement is None:
            return self.name
        # Rounded down: only masks that are the same agree in all.
        return f"{self.name}: {self.mask_agreement * 1e6 // 1 / 1e4:.4f} % of mask bits agree"


def compared_files(recorded: RunFacts, root: Path) -> Iterator[Compared]:
    """The published files of a run, its statistics too, in the project at `root`, against what was recorded of them."""
    measured_by = [one for one in (*recorded.statistics, *recorded.extractors) if one.path]
    for subject in (*recorded.subjects, *measured_by):
        path = _place(subject, root)
        if not path.is_file():
            yield Compared(f"file {subject.name}", "DIFFERS", f"{subject.path} is not there")
        elif sha256_file(path) != subject.sha256:
            yield Compared(f"file {subject.name}", "DIFFERS", f"{subject.path} is not the file that was recorded")
        else:
            yield Compared(f"file {subject.name}", "IDENTICAL")


def compared_steps(
    recorded: RunFacts, fresh: RunFacts, files: Mapping[str, Path], root: Path, elsewhere: bool
) -> Iterator[Compared]:
    """Results, then step by step in the order they were done. `files` are the fresh results by name.

    Steps that differ are within the band if the run was done `elsewhere` and what it measured in the end is.
    """
    close: Finding = "WITHIN BAND" if elsewhere and _within_band(recorded.metrics, fresh.metrics) else "DIFFERS"
    found = {subject.name: subject.sha256 for subject in fresh.subjects}
    for subject in recorded.subjects:
        name = f"result {subject.name}"
        if found.get(subject.name) == subject.sha256:
            yield Compared(name, "IDENTICAL")
        else:
            yield Compared(name, close, subject.name, _mask_agreement(subject, files.get(subject.name), root))
    for then, now in zip_longest(recorded.steps, fresh.steps):
        if then is None or now is None:
            yield Compared((then or now).name, "DIFFERS", "only then" if now is None else "only now")
            continue
        differing = _differing_output(then, now)
        yield Compared(now.name, close, differing) if differing else Compared(now.name, "IDENTICAL")


def _mask_agreement(recorded: Artifact, fresh: Path | None, root: Path) -> float | None:
    """Of a ticket, which share of its bits another has too; None for another file, and where one is not to be had."""
    from ticketlab.tickets.file import read

    path = _place(recorded, root)
    if recorded.name != TICKET or fresh is None or not path.is_file() or sha256_file(path) != recorded.sha256:
        return None
    try:
        then, now = read(path)[0], read(fresh)[0]
    except CorruptFile:
        return None
    return float(then.agreement(now)) if then.shapes() == now.shapes() else None


def _place(subject: Artifact, root: Path) -> Path:
    return root / (subject.path or subject.name)


def _differing_output(then: StepFact, now: StepFact) -> str | None:
    names = sorted(then.outputs.keys() | now.outputs.keys())
    return next((name for name in names if then.outputs.get(name) != now.outputs.get(name)), None)


def _within_band(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    return then.keys() == now.keys() and all(
        abs(then[name] - now[name]) <= BAND * max(abs(then[name]), abs(now[name])) for name in then
    )
