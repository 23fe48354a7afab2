"""A whole spec: one page that says what ticket to draw, how to train it, on which data, and what to measure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from ticketlab.spec.arm import Arm, TicketArm
from ticketlab.spec.compute import Compute
from ticketlab.spec.data import Data
from ticketlab.spec.evaluate import Evaluate
from ticketlab.spec.model import Model
from ticketlab.spec.objectives import Train
from ticketlab.spec.section import NoEffect, Section
from ticketlab.spec.ticket import NoTicket, Ticket


class Spec(Section):
    """One experiment; with a `matrix`, a family of them."""

    spec_version: Literal[1] = Field(default=1, description="Version of the spec language.")
    name: Annotated[str, NoEffect("a label: the folder and the MLflow experiment that results are put into")] = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$",
        description="Name of the experiment: its folder under runs/ and its MLflow experiment. Does not affect results.",
    )
    about: Annotated[str, NoEffect("a sentence for people")] = Field(
        default="", max_length=2000, description="One sentence for people. Does not affect results."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Every random draw of the run is derived from this number."
    )
    data: Data = Field(description="Which images.")
    model: Model = Field(description="Which networks.")
    ticket: Ticket = Field(default=NoTicket(), description="How the mask is drawn.")
    arms: Annotated[
        tuple[Arm, ...],
        NoEffect("which trainings are done; each arm has an address of its own, and none changes another"),
    ] = Field(
        default=(TicketArm(),),
        min_length=1,
        max_length=32,
        description="What is trained and compared: the ticket itself, the dense network, a random mask of the same layer "
        "densities, the ticket's mask shuffled within each layer, the ticket's mask on fresh initial weights.",
    )
    train: Train = Field(description="How the ticket is trained.")
    evaluate: Evaluate = Field(
        default={},  # type: ignore[assignment]
        description="What is measured.",
    )
    compute: Compute = Field(default=Compute(), description="On what and how the arithmetic is done.")
    matrix: Annotated[dict[str, tuple[JsonValue, ...]], NoEffect("a cell has its values in place already")] = Field(
        default={},
        description="Paths in this spec and the values each takes; every combination is one cell of the experiment.",
    )

    def asks(self) -> dict[str, Any]:
        """The spec as plain JSON values, defaults included."""
        return self.model_dump(mode="json")
