"""The `ticket` section: how the mask is drawn, phase 1 of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.evolving import Evolving
from ticketlab.spec.foresight import Grasp, NtkSap, Px, Snip, SynFlow, SynFlowL2
from ticketlab.spec.optimizer import Optimizer
from ticketlab.spec.regenerative import Regenerative
from ticketlab.spec.round_steps import RoundSteps
from ticketlab.spec.scope import PerLayer, Scope
from ticketlab.spec.section import Choice, Share, family
from ticketlab.spec.transfer import Transferred

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec


class NoTicket(Choice):
    """The dense network, trained as it is."""

    made_by: ClassVar[str] = ""
    about: ClassVar[str] = "no mask: the dense network"

    method: Literal["none"] = Field(default="none", description="No ticket: the dense network.")


class Magnitude(Drawn):
    """Keep the weights of largest absolute value."""

    made_by: ClassVar[str] = "ticketlab.tickets.magnitude:scores"
    about: ClassVar[str] = (
        "absolute value of the trained weights; iterative with rewinding is the lottery-ticket search"
    )
    source: ClassVar[str] = "Frankle and Carbin 2019, arXiv 1803.03635; Chen et al. 2021, arXiv 2106.00134"

    method: Literal["magnitude"] = Field(default="magnitude", description="Magnitude pruning.")


class Random(Drawn):
    """Keep weights at random: the score is an independent uniform draw."""

    made_by: ClassVar[str] = "ticketlab.tickets.random:scores"
    about: ClassVar[str] = "independent uniform scores: random pruning"
    source: ClassVar[str] = "the control of every pruning paper"

    method: Literal["random"] = Field(default="random", description="Random pruning.")
    round_steps: RoundSteps | None = Field(
        default=0, description="Training steps before each round's pruning; 0 draws at initialisation."
    )


class EdgePopup(Evolving):
    """Search a mask over frozen random weights: every weight has a score, scores learn, the highest are kept."""

    made_by: ClassVar[str] = "ticketlab.tickets.edge_popup:wearing"
    about: ClassVar[str] = "strong ticket: scores over frozen random weights learn, weights never move"
    source: ClassVar[str] = "Ramanujan et al. 2020, arXiv 1911.13299"
    weights_learn: ClassVar[bool] = False

    method: Literal["edge_popup"] = Field(default="edge_popup", description="Edge-popup.")
    density: Share = Field(description="Share of the weights kept at every step, in (0, 1].")
    scope: Scope = Field(
        default=PerLayer(), description="Which weights share a threshold, and what share each layer keeps."
    )
    score_bound: float = Field(
        default=0.1,
        gt=0,
        le=100,
        description="Scores start uniform in +- this bound, common to all layers; Adam's steps do not depend on it.",
    )
    optimizer: Optimizer | None = Field(
        default=None, description="Optimiser of the scores; null is the one that the objective has for the network."
    )

    @property
    def schedule(self) -> Schedule:
        """One round, to the density that every step keeps."""
        return Schedule(density=self.density)

    def settled(self, spec: Spec, at: Path) -> Self:
        """Also the scope and the optimiser of the scores."""
        optimizer = None if self.optimizer is None else self.optimizer.settled(spec, (*at, "optimizer"))
        update = {"scope": self.scope.settled(spec, (*at, "scope")), "optimizer": optimizer}
        return super().settled(spec, at).model_copy(update=update)


if TYPE_CHECKING:
    Ticket = Choice
else:
    Ticket = family(
        "methods",
        "method",
        NoTicket,
        Magnitude,
        Random,
        EdgePopup,
        Regenerative,
        Snip,
        Grasp,
        SynFlow,
        SynFlowL2,
        NtkSap,
        Px,
        Transferred,
    )
