"""What one arm takes: trainings with their measurements, the rounds that draw its mask before its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ticketlab.plan.steps import Curve, Evaluate, Step, Train


@dataclass(frozen=True)
class Trained:
    """A training, what it is measured at, on the way (if asked for) and at its end, and its mask (None: dense)."""

    train: Train
    curve: Curve | None
    evaluate: Evaluate
    mask: Step | None
    round: int

    def lasts(self) -> tuple[Step, ...]:
        """The steps with which all is done: what measuring needs first, so that it can begin with the training."""
        references = (step for role, step in self.evaluate.inputs.items() if role != "weights")
        return (*references, *self.measured())

    def measured(self) -> tuple[Step, ...]:
        """The training and its measurements, in their order."""
        return (self.train, *(() if self.curve is None else (self.curve,)), self.evaluate)


@dataclass(frozen=True)
class ArmPlan:
    """What one arm takes: the rounds that draw its mask, and its own training."""

    arm: str
    rounds: tuple[Trained, ...]
    final: Trained

    def steps(self) -> Iterator[Step]:
        """Every step of the arm after those it needs, each digest once."""
        seen: set[str] = set()
        for trained in (*self.rounds, self.final):
            for last in trained.lasts():
                for step in last.lineage():
                    if step.digest not in seen:
                        seen.add(step.digest)
                        yield step
