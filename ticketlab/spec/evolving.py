"""Tickets whose mask a training makes, and changes on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.masked import Masked
from ticketlab.spec.objectives import Train
from ticketlab.spec.supervised import Supervised

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec
    from ticketlab.spec.train import Objective


class Evolving(Masked):
    """A ticket whose mask is made by a training and changes within it: by `train` itself, or by a `search` before it.

    `made_by` names a function (options, networks, prunable weights, steps of the training, key) -> Wearing
    (ticketlab/tickets/worn.py).
    `weights_learn` says whether that training also moves the weights; where it does not, the controls' stay as they
    were initialised, too. `averaged` says whether a moving average of a network wears the mask as well.
    """

    weights_learn: ClassVar[bool] = True
    averaged: ClassVar[bool] = False

    search: Train | None = Field(
        default=None,
        description="The training that makes the mask, before `train` trains the network under it; null is `train` itself.",
    )
    rewind: Literal["init", "none"] = Field(
        default="init",
        description="Where `train` begins after a `search`: at the initial weights, or at those the search ended with.",
    )

    def driven_by(self, spec: Spec) -> tuple[Objective, ...]:
        """The search, too."""
        return super().driven_by(spec) if self.search is None else (self.search, *super().driven_by(spec))

    @property
    def hears(self) -> int | None:
        """Steps between the measurements that the mask depends on; None where it depends on none."""
        return None

    def settled(self, spec: Spec, at: Path) -> Self:
        """The search's own nulls; refuses a moving average that the mask does not reach, and other measurements than heard."""
        search = self.search
        if search is not None:
            if search.trains != spec.model.trains:
                what = f"`{search.name}` trains a {search.trains.name}, and `{spec.model.name}` is a {spec.model.trains.name}"
                mend = f"search: an objective that trains a {spec.model.trains.name}"
                raise Impossible((*at, "search", "objective"), what, mend)
            search = search.settled(spec, (*at, "search"))
        place = (*at, "search") if search is not None else ("train",)
        decay = (search or spec.train).averaged_by
        if not self.averaged and decay is not None and getattr(search or spec.train, decay):
            what = "the moving average of a network whose mask changes is not the ticket"
            raise Impossible((*place, decay), what, mend=f"{decay}: 0")
        if self.hears is not None and spec.evaluate.every not in (None, self.hears):
            what = f"the mask depends on what is measured every {self.hears} steps"
            raise Impossible(("evaluate", "every"), what, mend=f"every: {self.hears}")
        self._refuse_unlearned(search or spec.train, place, at)
        return super().settled(spec, at).model_copy(update={"search": search})

    def _refuse_unlearned(self, objective: Objective, place: Path, at: Path) -> None:
        """Refuses a training that has no steps to make the mask in, or moves nothing of a layer that it is to lie over."""
        if not objective.steps:
            what = "the mask is made by this training, which has no steps"
            raise Impossible((*place, "steps"), what, mend="steps: 1 or more")
        frozen = isinstance(objective, Supervised) and objective.last_layer == "frozen"
        if frozen and self.last_layer != "dense" and not self.control_structure.takes_outputs:
            what = "the last layer is frozen, so no mask over it can be made by this training"
            raise Impossible((*at, "last_layer"), what, mend="last_layer: dense")

    def tiny(self) -> Self:
        """A search of two steps, too."""
        return self.model_copy(update={"search": None if self.search is None else self.search.tiny()})
