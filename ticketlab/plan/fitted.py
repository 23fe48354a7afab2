"""The kind of step that fits the last layer of a network, before anything is drawn or trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ticketlab.plan.step import Images, Step
from ticketlab.spec.compute import Compute
from ticketlab.spec.head import HeadChoice
from ticketlab.spec.modelling import ModelChoice


@dataclass(frozen=True, kw_only=True)
class Head(Step):
    """Fitting the last layer of the dense network to the training images, of its features as it starts.

    Inputs: `pretrained` (a `Start`; absent: initial values alone) and `subset` (absent: all images). Writes the tensors
    that take the place of initial values: those of the start, and the head.
    """

    performed_by: ClassVar[str] = "ticketlab.run.steps.head:perform"
    kind: ClassVar[str] = "head"
    seed: int
    images: Images
    model: ModelChoice
    head: HeadChoice
    initial: str
    compute: Compute

    @property
    def title(self) -> str:
        """A few words for people."""
        return f"head by {self.head.name} on {self.images.dataset}"
