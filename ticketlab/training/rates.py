"""The rate schedules a spec may name: what the learning rate is multiplied by at a moment of a training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketlab.spec.rate_schedule import Constant, Cosine, Linear, Milestones


@dataclass(frozen=True)
class Moment:
    """A step of a training, counted from 0 and no longer of the warm-up; how many steps there are, and warm-up steps."""

    step: int
    steps: int
    warmup: int

    @property
    def done(self) -> float:
        """The share of what follows the warm-up that is over, in [0, 1]."""
        return (self.step - self.warmup) / max(1, self.steps - self.warmup)


def constant(options: Constant, moment: Moment) -> float:
    """1 at every step."""
    return 1.0


def linear(options: Linear, moment: Moment) -> float:
    """1 at the first step, 0 one step after the last."""
    return 1.0 - moment.done


def cosine(options: Cosine, moment: Moment) -> float:
    """(1 + cos(pi done)) / 2; Loshchilov and Hutter 2017, equation 5 without restarts."""
    return 0.5 * (1.0 + math.cos(math.pi * moment.done))


def milestones(options: Milestones, moment: Moment) -> float:
    """`factor` to the power of the milestones that are reached; these are shares of all steps, warm-up included."""
    passed = sum(moment.step >= math.floor(point * moment.steps) for point in options.at)
    return float(options.factor**passed)
