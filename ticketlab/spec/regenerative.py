"""Tickets that are pruned and regenerated while the networks train."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.evolving import Evolving
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.metric import usual_metrics

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

Judge = Literal["frechet", "kernel", "loss"]


class Regenerative(Evolving):
    """Prune by rising thresholds while a metric improves, bring every weight back while it worsens (RG-GAN)."""

    made_by: ClassVar[str] = "ticketlab.tickets.regenerative:wearing"
    about: ClassVar[str] = "weights under rising thresholds sleep while the metric improves, and return when it worsens"
    source: ClassVar[str] = "Saxena et al. 2024, RG-GAN (AAAI); thresholds of Liu et al. 2020, arXiv 2005.06870"
    averaged: ClassVar[bool] = True

    method: Literal["regenerative"] = Field(default="regenerative", description="Regenerative pruning.")
    every: int = Field(
        default=400,
        ge=1,
        description="Training steps between the measurements after which pruning goes on or is undone.",
    )
    judge: Judge | None = Field(
        default=None,
        description="The metric that is listened to, lower being better; null is frechet for GANs and loss for classifiers.",
    )
    rise: float = Field(
        default=1e-12,
        ge=0,
        le=1,
        description="Weight of the penalty sum exp(-threshold) that raises thresholds (lambda); under Adam it acts only "
        "in relation to the optimiser's eps.",
    )
    threshold_gradient: Literal["penalty", "straight_through"] = Field(
        default="penalty",
        description="What moves thresholds: the penalty alone, as in the released code (all thresholds of a network stay "
        "equal), or the task's loss as well, through the long-tailed estimator.",
    )
    floor: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="A layer of which no larger share is left has its thresholds set back to 0.",
    )

    @property
    def hears(self) -> int:
        """Every `every` steps."""
        return self.every

    def settled(self, spec: Spec, at: Path) -> Self:
        """The task's usual judge; refuses one that is not measured."""
        measured = {metric.name for metric in spec.evaluate.metrics or usual_metrics(spec.model.trains)}
        usual: Judge = "frechet" if spec.model.trains.through_features else "loss"
        judge = self.judge or usual
        if judge not in measured:
            raise Impossible(("evaluate", "metrics"), f"the ticket listens to `{judge}`", mend=f"add {judge}")
        return super().settled(spec, at).model_copy(update={"judge": judge})

    def tiny(self) -> Self:
        """Listens after the first of two steps."""
        return super().tiny().model_copy(update={"every": 1})
