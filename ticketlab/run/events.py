"""What happens in a run, as values: the screen, the record and the ledger listen, and can change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class StepStarted:
    """A step begins or resumes; `position` of `total` steps of the experiment that are not finished yet."""

    title: str
    cell: str
    position: int
    total: int
    length: int | None


@dataclass(frozen=True)
class Progress:
    """A row of a step's curves."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class StepFinished:
    """A step is done and its result is in the store."""

    title: str
    cell: str
    seconds: float


@dataclass(frozen=True)
class Notice:
    """Something the user should know, that stops nothing."""

    text: str


Event = StepStarted | Progress | StepFinished | Notice
Listener = Callable[[Event], None]
