"""The entries of `arms`: what is trained and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ticketlab.spec.section import Choice, family


class ArmChoice(Choice):
    """A training that is compared with others: what mask it wears, and whose initial weights it starts from.

    `made_by`, where the mask is not the ticket's own, names a function (mask, key, structure) -> Mask, drawn from the
    ticket's (ticketlab/tickets/controls.py).
    """

    made_by: ClassVar[str] = ""
    wears: ClassVar[bool] = True
    initial: ClassVar[Literal["init", "fresh"]] = "init"

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")


class TicketArm(ArmChoice):
    """The ticket itself."""

    about: ClassVar[str] = "the ticket itself"

    kind: Literal["ticket"] = Field(default="ticket", description="The ticket itself.")


class Dense(ArmChoice):
    """The network without a mask."""

    about: ClassVar[str] = "the dense network"
    wears: ClassVar[bool] = False

    kind: Literal["dense"] = Field(default="dense", description="The dense network.")


class RandomMask(ArmChoice):
    """A random mask of the ticket's layer densities."""

    made_by: ClassVar[str] = "ticketlab.tickets.controls:random_like"
    about: ClassVar[str] = "a random mask of the same layer densities"
    source: ClassVar[str] = "Frankle and Carbin 2019, arXiv 1803.03635"

    kind: Literal["random"] = Field(default="random", description="A random mask of the same layer densities.")


class Shuffled(ArmChoice):
    """The ticket's mask, shuffled within each layer."""

    made_by: ClassVar[str] = "ticketlab.tickets.controls:shuffled"
    about: ClassVar[str] = "the ticket's mask, shuffled within each layer"
    source: ClassVar[str] = "Tanaka et al. 2020, arXiv 2006.05467"

    kind: Literal["shuffled"] = Field(default="shuffled", description="The ticket's mask, shuffled within each layer.")


class FreshWeights(ArmChoice):
    """The ticket's mask on other initial weights."""

    about: ClassVar[str] = "the ticket's mask on fresh initial weights"
    source: ClassVar[str] = "Frankle and Carbin 2019, arXiv 1803.03635"
    initial: ClassVar[Literal["init", "fresh"]] = "fresh"

    kind: Literal["fresh_weights"] = Field(
        default="fresh_weights", description="The ticket's mask on fresh initial weights."
    )


if TYPE_CHECKING:
    Arm = ArmChoice
else:
    Arm = family("arms", "kind", TicketArm, Dense, RandomMask, Shuffled, FreshWeights)
