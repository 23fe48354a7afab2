"""The kinds of step that measure networks of a training: those it leaves on its way, and the one at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ticketlab.plan.step import Images, Measurement, Step
from ticketlab.spec.compute import Compute
from ticketlab.spec.model import ModelChoice


def snapshot_file(number: int) -> str:
    """The file of a training that holds the network that is measured, as it was after `number` steps."""
    return f"snapshot-{number:07d}.safetensors"


def between(begin: int, end: int, every: int) -> range:
    """The multiples of `every` that are greater than `begin` and less than `end`: when a training is looked at."""
    return range(begin - begin % every + every, end, every)


@dataclass(frozen=True, kw_only=True)
class Measured(Step):
    """What networks of a training score. Inputs: `weights`, and for GANs `statistics` and (if trained) `extractor`."""

    seed: int
    images: Images
    model: ModelChoice
    measurement: Measurement
    compute: Compute


@dataclass(frozen=True, kw_only=True)
class Curve(Measured):
    """What the snapshots of a training from step `begin` to `end` score, one at every multiple of `every` between them.

    Writes `watch-<step>.json` and, for generators, `samples-<step>.png`. What is there already is measured while the
    training goes on, where one process does both.
    """

    performed_by: ClassVar[str] = "ticketlab.run.steps.curve:perform"
    kind: ClassVar[str] = "curve"
    every: int
    begin: int
    end: int

    @property
    def numbers(self) -> range:
        """The steps after which there is a snapshot."""
        return between(self.begin, self.end, self.every)

    @property
    def title(self) -> str:
        """A few words for people."""
        return f"measure every {self.every} steps"


@dataclass(frozen=True, kw_only=True)
class Evaluate(Measured):
    """What a network scores `after` so many training steps."""

    performed_by: ClassVar[str] = "ticketlab.run.steps.evaluate:perform"
    kind: ClassVar[str] = "evaluate"
    after: int

    @property
    def title(self) -> str:
        """A few words for people."""
        return "evaluate " + ", ".join(metric.name for metric in self.measurement.metrics)
