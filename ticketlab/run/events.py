"""What happens in a run, as values: the screen, the record and the ledger listen, and can change nothing."""

from __future__ import annotations

import logging
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
class LayerCollapse:
    """Round `round` of drawing left nothing of some layers that had weights before it; the run goes on."""

    round: int
    layers: tuple[str, ...]
    cell: str


@dataclass(frozen=True)
class Notice:
    """Something the user should know, that stops nothing."""

    text: str


Event = StepStarted | Progress | StepFinished | LayerCollapse | Notice
Listener = Callable[[Event], None]


def guarded(listener: Listener) -> Listener:
    """A listener that can change nothing: when it raises, the run goes on and it is told nothing more.

    A failure is logged once, but not that nobody reads any more what a listener prints.
    """
    return listener if isinstance(listener, _Guarded) else _Guarded(listener)


@dataclass
class _Guarded:
    listener: Listener
    failed: bool = False

    def __call__(self, event: Event) -> None:
        if self.failed:
            return
        try:
            self.listener(event)
        except Exception as failure:
            self.failed = True
            if not isinstance(failure, BrokenPipeError):
                logging.getLogger(__name__).warning("a listener failed and is told nothing more", exc_info=True)
