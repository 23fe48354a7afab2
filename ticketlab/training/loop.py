"""The loop every training runs in: log, evaluate, keep, checkpoint, stop; none of it changes the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ticketlab.errors import CorruptFile, Diverged, Interrupted
from ticketlab.models.batch_of_one import needing_two
from ticketlab.training import checkpoint
from ticketlab.training.setup import Training, Wearing, named, tensors_of, under

if TYPE_CHECKING:
    from ticketlab.spec.compute import Compute


Log = Callable[[int, Mapping[str, float]], None]
"""Where rows of the curves go, by step; a row that comes again after a kill is not written twice."""


@dataclass(frozen=True)
class Course:
    """How far a training goes and what happens on the way.

    Steps run from `begin` to `end`; step t is the t-th update, counted from 0. `keep` names a step before which the
    weights are written to `kept`. Every `watch_every` steps but the last `watch()` looks, and what it measures (if it
    does) is told to the ticket; what was reached at the end is measured by a step of its own. A training is resumed
    only with the `arithmetic` (a machine's, in words) it began with: `going_on` is told from which step, and
    `settle()` makes rows durable before a checkpoint counts on them.
    """

    begin: int
    end: int
    compute: Compute
    folder: Path
    arithmetic: str = "cpu"
    keep: int | None = None
    kept: Path | None = None
    watch_every: int | None = None
    watch: Callable[[int], Mapping[str, float]] | None = None
    going_on: Callable[[int], None] = lambda step: None
    settle: Callable[[], None] = lambda: None


@needing_two("train.batch")
def follow(training: Training, wearing: Wearing, course: Course, log: Log, stopping: Callable[[], bool]) -> None:
    """Run a training of networks that wear a ticket to its end, from its last checkpoint if there is one.

    Raises `Diverged` when a loss is not finite (the last good checkpoint stays) and `Interrupted` when `stopping()`
    turns true (a checkpoint is written first); `TicketlabError` where normalisation cannot do with batches of one.
    """
    saved = course.folder / "checkpoint.safetensors"
    whole = _Whole(training, wearing)
    step = _resume(whole, saved, course)
    course.going_on(step)
    last_saved = time.monotonic()
    poison = torch.zeros(())
    while step < course.end:
        if step == course.keep and course.kept is not None:
            checkpoint.write(course.kept, tensors_of(training.trained()), {"step": step})
        losses = training.step(step)
        step += 1
        # Zero times what is not finite is not a number, and stays so: no step between two looks is missed.
        poison = poison.to(next(iter(losses.values())).device) + 0.0 * sum(losses.values())
        due = time.monotonic() - last_saved >= course.compute.checkpoint_seconds
        stop = stopping()
        if step % course.compute.log_every == 0 or step == course.end:
            log(step, {**_finite(losses, step), **wearing.row()})
        if (
            course.watch is not None
            and course.watch_every is not None
            and step % course.watch_every == 0
            and step < course.end
        ):
            found = course.watch(step)
            if found:
                log(step, found)
                wearing.hear(step, found)
        if step < course.end and (due or stop):
            _finite({**losses, "a loss since the last look": poison}, step)
            course.settle()
            _save(whole, saved, step, course.arithmetic)
            last_saved = time.monotonic()
        if stop and step < course.end:
            raise Interrupted(f"stopped at step {step} of {course.end}", mend="the same command goes on from here")
    _finite({"a loss": poison}, step)
    if not checkpoint.all_finite(whole.state()):
        raise Diverged(f"weights are not finite after step {step}", mend="a smaller learning rate, or another seed")


@dataclass(frozen=True)
class _Whole:
    """A training together with the ticket it may be making: what a checkpoint holds."""

    training: Training
    wearing: Wearing

    def state(self) -> dict[str, Tensor]:
        return {**self.training.state(), **named("wearing", self.wearing.state())}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.wearing.load(under("wearing", state))
        self.training.load(state)


def _resume(whole: _Whole, saved: Path, course: Course) -> int:
    if not saved.exists():
        return course.begin
    try:
        state, about = checkpoint.read(saved)
        step = about["step"]
        if not isinstance(step, int) or about.get("arithmetic") != course.arithmetic:
            raise CorruptFile(f"it names no step on {course.arithmetic}", where=str(saved))
    except CorruptFile:
        # Nothing is lost but time: a training is a function of its step's inputs, so it starts over.
        saved.unlink()
        return course.begin
    whole.load(state)
    return step


def _save(whole: _Whole, saved: Path, step: int, arithmetic: str) -> None:
    state = whole.state()
    if not checkpoint.all_finite(state):
        raise Diverged(f"weights are not finite after step {step}", mend="a smaller learning rate, or another seed")
    checkpoint.write(saved, state, {"step": step, "arithmetic": arithmetic})


def _finite(losses: Mapping[str, Tensor], step: int) -> dict[str, float]:
    """The losses as numbers; `Diverged` if one is not finite."""
    values = torch.stack([loss.float() for loss in losses.values()]).tolist()
    row = dict(zip(losses, values, strict=True))
    broken = {name: value for name, value in row.items() if not abs(value) < float("inf")}
    if broken:
        seen = ", ".join(f"{name} = {value}" for name, value in broken.items())
        raise Diverged(f"training diverged at step {step}: {seen}", mend="a smaller learning rate, or another seed")
    return row
