"""Tickets whose scores look at images: which these are, and how often they are looked at."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.drawing import Drawn
from ticketlab.spec.round_steps import RoundSteps
from ticketlab.spec.section import Section


class Probe(Section):
    """The training images that scores look at, which are recorded."""

    drawn: Literal["once", "per_pass"] = Field(
        default="once",
        description="`once` is the same images in every pass and round, balanced by class and not augmented. `per_pass`, as in "
        "released code, is others for every pass over them (GraSP makes two in a round), of any class, augmented as in "
        "training, and a short last batch counts as much as the others.",
    )
    per_class: int = Field(
        default=10, ge=1, le=100_000, description="Images of each class; `per_pass` has as many in all."
    )
    batch: int = Field(
        default=256,
        ge=1,
        le=65_536,
        description="Images per forward pass; of images drawn once, sums over batches do not depend on it but for rounding.",
    )


class Probed(Drawn):
    """A ticket whose scores look at images, at initialisation unless `round_steps` says otherwise.

    `looks` is how often a round goes over the probe set, which may be drawn for each time anew.
    """

    looks: ClassVar[int] = 1
    scores_need: ClassVar[frozenset[str]] = frozenset({"networks", "inputs", "losses"})

    probe: Probe = Field(default=Probe(), description="The images that scores look at.")
    round_steps: RoundSteps | None = Field(
        default=0, description="Training steps before each round's pruning; 0 scores the initial weights."
    )

    def works_through(self, classes: int) -> int:
        """The passes over the probe set, of so many images of each class."""
        return self.passes() * self.probe.per_class * classes

    def passes(self) -> int:
        """Passes over the probe set in a round, a backward one counted as two: forward and back, unless a method says more."""
        return 3

    def tiny(self) -> Self:
        """Also one image of each class."""
        return super().tiny().model_copy(update={"probe": self.probe.model_copy(update={"per_class": 1})})
