"""The weights that a ticket's mask lies over."""

from __future__ import annotations

import pytest
from torch import nn

from ticketlab.errors import TicketlabError
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.ticket import Magnitude
from ticketlab.tickets.masked import masked_weights

NETWORKS = {
    "classifier": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 3), nn.Linear(3, 2)),
    "other": nn.Sequential(nn.Linear(2, 1)),
}
TICKET = Magnitude(
    schedule=Schedule(density=0.5), networks=("classifier",), layers=("conv", "linear"), last_layer="pruned"
)


def test_the_layer_that_gives_the_outputs_stays_dense_where_it_is_asked() -> None:
    every = ["classifier.0.weight", "classifier.2.weight", "classifier.3.weight"]
    assert list(masked_weights(TICKET, NETWORKS)) == every
    dense = TICKET.model_copy(update={"last_layer": "dense"})
    assert list(masked_weights(dense, NETWORKS)) == every[:-1]
    # A convolution is not the last layer because it is the last that is pruned.
    assert list(masked_weights(dense.model_copy(update={"layers": ("conv",)}), NETWORKS)) == every[:1]


def test_a_network_without_a_layer_that_may_be_pruned_is_said() -> None:
    one_layer = TICKET.model_copy(update={"networks": ("other",), "last_layer": "dense"})
    with pytest.raises(TicketlabError, match="no conv or linear layer that may be pruned in other"):
        masked_weights(one_layer, NETWORKS)
