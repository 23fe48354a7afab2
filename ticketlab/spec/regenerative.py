"""Tickets that are pruned and regenerated while the networks train."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.evolving import Evolving
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.metric import Metric, metrics_of

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec


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
    judge: Metric | None = Field(
        default=None,
        description="The metric that is listened to, one that falls as networks get better; null is the first such that is "
        "measured.",
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
        """The first metric that falls; refuses one that does not, or that is not measured."""
        measured = metrics_of(spec)
        falling = [metric for metric in measured if metric.falls]
        if self.judge is not None and self.judge not in falling:
            what = f"`{self.judge.name}` is not among the metrics that are measured and fall as networks get better"
            raise Impossible(
                (*at, "judge"), what, mend=", ".join(metric.name for metric in falling) or "measure `loss`"
            )
        if not falling:
            what = "the ticket listens to a metric that falls as networks get better, and none is measured"
            raise Impossible(("evaluate", "metrics"), what, mend="add one such as loss (classifiers) or frechet (GANs)")
        return super().settled(spec, at).model_copy(update={"judge": self.judge or falling[0]})

    def tiny(self) -> Self:
        """Listens after the first of two steps."""
        return super().tiny().model_copy(update={"every": 1})
