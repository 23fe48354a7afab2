"""`ticket.scope`: which weights are ranked against each other, and what densities their layers get."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ticketlab.spec.section import Choice, family


class ScopeChoice(Choice):
    """How the weights of a round share thresholds.

    `made_by` names a function (options, layers, schedule, round, count) -> list[Budget] (ticketlab/tickets/scope.py).
    """


class Global(ScopeChoice):
    """One threshold for all prunable weights of a network."""

    made_by: ClassVar[str] = "ticketlab.tickets.scope:together"
    about: ClassVar[str] = "one threshold for all prunable weights of a network"

    kind: Literal["global"] = Field(default="global", description="One threshold per network.")


class PerLayer(ScopeChoice):
    """One threshold for each layer, at equal density."""

    made_by: ClassVar[str] = "ticketlab.tickets.scope:apart"
    about: ClassVar[str] = "one threshold for each layer, at equal density"

    kind: Literal["layer"] = Field(default="layer", description="One threshold per layer.")


class Uniform(ScopeChoice):
    """One threshold for each layer, at equal density but for the first, which stays dense."""

    made_by: ClassVar[str] = "ticketlab.tickets.scope:but_the_first"
    about: ClassVar[str] = (
        "one threshold for each layer, at equal density, the first layer of each network dense; as a whole the ticket is "
        "denser than its schedule by what that layer keeps. `layer` treats the first like the others"
    )
    source: ClassVar[str] = "Evci et al. 2020, arXiv 1911.11134"

    kind: Literal["uniform"] = Field(
        default="uniform", description="Equal densities; the first layer under the mask of each network stays dense."
    )


class Erk(ScopeChoice):
    """One threshold for each layer, at densities by Erdos-Renyi kernel."""

    made_by: ClassVar[str] = "ticketlab.tickets.scope:by_kernel"
    about: ClassVar[str] = "one threshold for each layer, small layers denser by Erdos-Renyi kernel"
    source: ClassVar[str] = "Evci et al. 2020, arXiv 1911.11134"

    kind: Literal["erk"] = Field(default="erk", description="Densities by Erdos-Renyi kernel.")


if TYPE_CHECKING:
    Scope = ScopeChoice
else:
    Scope = family("scopes", "kind", Global, PerLayer, Uniform, Erk)
