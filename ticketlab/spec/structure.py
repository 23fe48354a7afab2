"""`ticket.structure`: what is pruned together."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.section import Choice, family

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec


class StructureChoice(Choice):
    """What is pruned together.

    `made_by` names a function (options) -> Structure (ticketlab/tickets/structure.py). `takes_outputs` says whether whole
    outputs of a layer are pruned, `by_axis` whether it takes a weight's first axis for outputs or its second for inputs.
    """

    takes_outputs: ClassVar[bool] = False
    by_axis: ClassVar[bool] = False


class Weights(StructureChoice):
    """Single weights."""

    made_by: ClassVar[str] = "ticketlab.tickets.structure:weights"
    about: ClassVar[str] = "single weights"

    kind: Literal["weights"] = Field(default="weights", description="Single weights.")


class AboveThreshold(StructureChoice):
    """Single weights, by the rule of the released pruners."""

    made_by: ClassVar[str] = "ticketlab.tickets.structure:above_threshold"
    about: ClassVar[str] = (
        "single weights, as released pruners choose them: anew in every round, so that pruned ones may come back, and "
        "all that equal the threshold go, so that fewer may stay; five fewer or more is an error"
    )
    source: ClassVar[str] = "the code released with SynFlow, NTK-SAP and PX"

    kind: Literal["above_threshold"] = Field(
        default="above_threshold",
        description="Single weights that score above the threshold, chosen anew among all in every round; equal ones all "
        "go, so up to four fewer than asked may stay.",
    )


class Percentile(StructureChoice):
    """Single weights, by the rule of the LotteryTicket class."""

    made_by: ClassVar[str] = "ticketlab.tickets.structure:percentile"
    about: ClassVar[str] = (
        "single weights above the linearly interpolated percentile of their scores, as the LotteryTicket class chooses "
        "them: of most tensors one weight more goes; else like above_threshold"
    )
    source: ClassVar[str] = "the LotteryTicket class (Frankle and Carbin 2019, arXiv 1803.03635)"

    kind: Literal["percentile"] = Field(
        default="percentile",
        description="Single weights that score above the percentile 100 (1 - density), linearly interpolated; density 1 "
        "prunes the lowest still, so leave out kinds of layer that are to stay dense.",
    )

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a rate: a percentile is one of all weights, not of what is left."""
        schedule = spec.ticket.schedule  # type: ignore[attr-defined]  # only tickets that are drawn have a structure
        if schedule.rate is not None:
            raise Impossible(
                (*at[:-1], "schedule", "rate"),
                "a percentile is of all weights, a rate of those that are left",
                mend="schedule: {rounds: 4, density: 0.2, spacing: linear}",
            )
        return self


class Channels(StructureChoice):
    """Whole output channels, by their mean score."""

    made_by: ClassVar[str] = "ticketlab.tickets.structure:channels"
    about: ClassVar[str] = "whole output channels, by their mean score; never those of a network's last layer"
    takes_outputs: ClassVar[bool] = True
    by_axis: ClassVar[bool] = True

    kind: Literal["channels"] = Field(default="channels", description="Whole output channels.")


class NofM(StructureChoice):
    """N of every M consecutive inputs are kept."""

    made_by: ClassVar[str] = "ticketlab.tickets.structure:groups"
    about: ClassVar[str] = "n of every m consecutive inputs"
    source: ClassVar[str] = "Zhou et al. 2021, arXiv 2102.04010"
    by_axis: ClassVar[bool] = True

    kind: Literal["n_of_m"] = Field(default="n_of_m", description="N of every m inputs.")
    n: int = Field(ge=1, le=64, description="Inputs kept of every m.")
    m: int = Field(ge=2, le=64, description="Consecutive inputs that make a group.")

    @model_validator(mode="after")
    def _some_are_pruned(self) -> NofM:
        if self.n >= self.m:
            raise ValueError(f"{self.n} of {self.m} prunes nothing; `n` is smaller than `m`")
        return self

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a schedule of several rounds, or to another density: the structure decides how much is kept."""
        schedule = spec.ticket.schedule  # type: ignore[attr-defined]  # only tickets that are drawn have a structure
        density = schedule.density if isinstance(schedule.density, float) else 0.0
        # A third has no decimal; what is kept is counted from the mask.
        if schedule.rounds != 1 or abs(density - self.n / self.m) > 1e-3:
            raise Impossible(
                (*at[:-1], "schedule"),
                f"{self.n} of every {self.m} inputs is one round to a density of {self.n / self.m:g}",
                mend=f"schedule: {{density: {self.n / self.m:g}}}",
            )
        return self


if TYPE_CHECKING:
    Structure = StructureChoice
else:
    Structure = family("structures", "kind", Weights, AboveThreshold, Percentile, Channels, NofM)
