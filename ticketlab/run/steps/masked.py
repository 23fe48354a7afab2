"""The weights of a step's networks that a ticket's mask lies over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import nn

from ticketlab.errors import TicketlabError
from ticketlab.models.prunable import PrunableWeight, last_layers, prunable

if TYPE_CHECKING:
    from ticketlab.spec.masked import Masked


def masked_weights(options: Masked, networks: Mapping[str, nn.Module]) -> dict[str, PrunableWeight]:
    """The weights of the networks and kinds of layer that the ticket names; TicketlabError if there are none."""
    assert options.networks is not None, "the spec was not resolved"
    assert options.layers is not None, "the spec was not resolved"
    found = prunable(networks, options.networks, options.layers)
    if options.last_layer == "dense":
        dense = last_layers(networks)
        found = {name: weight for name, weight in found.items() if name not in dense}
    if not found:
        kinds = " or ".join(options.layers)
        raise TicketlabError(
            f"the {' and the '.join(options.networks)} has no {kinds} layer that may be pruned",
            where="ticket.layers and ticket.last_layer",
            mend="a model with more layers, other kinds of layer, or single weights of the last layer",
        )
    return found
