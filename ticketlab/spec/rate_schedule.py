"""`train.rate_schedule`: how the learning rate moves after the warm-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.section import Choice, family

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec


class RateChoice(Choice):
    """What the learning rate is multiplied by.

    `made_by` names a function (options, Moment) -> factor in [0, 1] (ticketlab/training/rates.py).
    """


class Constant(RateChoice):
    """The learning rate stays."""

    made_by: ClassVar[str] = "ticketlab.training.rates:constant"
    about: ClassVar[str] = "the learning rate stays"

    kind: Literal["constant"] = Field(default="constant", description="Constant learning rate.")


class Linear(RateChoice):
    """The learning rate falls linearly to zero at the last step."""

    made_by: ClassVar[str] = "ticketlab.training.rates:linear"
    about: ClassVar[str] = "linear decay to zero"

    kind: Literal["linear"] = Field(default="linear", description="Linear decay to zero over the whole training.")


class Cosine(RateChoice):
    """The learning rate follows half a cosine to zero at the last step."""

    made_by: ClassVar[str] = "ticketlab.training.rates:cosine"
    about: ClassVar[str] = "half a cosine to zero"
    source: ClassVar[str] = "Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts"

    kind: Literal["cosine"] = Field(default="cosine", description="Half a cosine to zero over the whole training.")


class Milestones(RateChoice):
    """The learning rate is multiplied by `factor` at each milestone."""

    made_by: ClassVar[str] = "ticketlab.training.rates:milestones"
    about: ClassVar[str] = "drops by a factor at given points"

    kind: Literal["milestones"] = Field(default="milestones", description="Drops at given points.")
    at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.5, 0.75),
        min_length=1,
        description="Points of the training where the rate drops, as shares of `steps`.",
    )
    factor: float = Field(default=0.1, gt=0, le=1, description="What the learning rate is multiplied by at each point.")

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses milestones that do not rise."""
        if list(self.at) != sorted(set(self.at)):
            raise Impossible((*at, "at"), "milestones must rise", mend=str(sorted(set(self.at))))
        return self


if TYPE_CHECKING:
    RateSchedule = RateChoice
else:
    RateSchedule = family("rate_schedules", "kind", Constant, Linear, Cosine, Milestones)
