"""Reading the ticket of a file, for networks that may be others than those it was drawn for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ticketlab.models.cost import layer_multiply_adds
from ticketlab.plan.inputs import PRETRAINED
from ticketlab.run.steps.images import shape_of
from ticketlab.run.steps.networks import initial_networks
from ticketlab.run.wanted_file import WEIGHTS, pinned
from ticketlab.tensors import content_digest
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import write
from ticketlab.tickets.layers import FILE as LAYERS
from ticketlab.tickets.layers import Layers
from ticketlab.tickets.transfer import carried
from ticketlab.training.setup import tensors_of

if TYPE_CHECKING:
    from ticketlab.plan.steps import Step, Transfer
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `ticket.safetensors`, the file's mask over these networks, of the round it had, and `layers.json`."""
    step = cast("Transfer", asked)
    path, _ = pinned(step.ticket, place.home(WEIGHTS), "masks").checked()
    networks = initial_networks(
        step.model, step.images, step.seed, "init", place.input(PRETRAINED, "weights.safetensors")
    )
    mask, drawn = carried(step.ticket, path, networks)
    costs = layer_multiply_adds(networks, shape_of(step.images))
    layers = Layers(dense_multiply_adds=costs).after(mask, drawn.round)
    if layers.collapsed:
        place.collapsed(drawn.round, tuple(layers.collapsed))
    layers.write(place.out / LAYERS)
    about = TicketFacts(step.ticket.name, drawn.round, step.seed, content_digest(tensors_of(networks)))
    write(place.out / "ticket.safetensors", mask, about)
