"""The weights that a ticket's mask lies over."""

from __future__ import annotations

import pytest
from torch import nn

from ticketlab.errors import TicketlabError
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.structure import AboveThreshold, Channels, NofM, Percentile, StructureChoice, Weights
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


@pytest.mark.parametrize("kind", [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d])
@pytest.mark.parametrize("structure", [Channels(), NofM(n=2, m=4)])
def test_structures_that_go_by_axes_refuse_transposed_convolutions_by_name(
    kind: type[nn.Module], structure: StructureChoice
) -> None:
    """The first axis is the inputs: a mask that is whole along it leaves every output some weights."""
    grown = {"generator": nn.Sequential(nn.Conv2d(3, 8, 3), kind(8, 4, 3), nn.Conv2d(4, 3, 3))}
    ticket = TICKET.model_copy(update={"networks": ("generator",), "structure": structure})
    with pytest.raises(TicketlabError, match=rf"generator.1.weight is of a transposed convolution.*`{structure.name}`"):
        masked_weights(ticket, grown)
    assert list(masked_weights(ticket, {"generator": nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 3, 3))}))


@pytest.mark.parametrize("structure", [Weights(), AboveThreshold(), Percentile()])
def test_single_weights_are_pruned_in_transposed_convolutions_too(structure: StructureChoice) -> None:
    grown = {"generator": nn.Sequential(nn.ConvTranspose2d(8, 4, 3), nn.Conv2d(4, 3, 3))}
    ticket = TICKET.model_copy(update={"networks": ("generator",), "structure": structure})
    assert list(masked_weights(ticket, grown)) == ["generator.0.weight", "generator.1.weight"]


def test_whole_channels_leave_out_a_transposed_convolution_that_gives_the_outputs() -> None:
    grown = {"generator": nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 3, 3))}
    ticket = TICKET.model_copy(update={"networks": ("generator",), "structure": Channels(), "last_layer": "dense"})
    assert list(masked_weights(ticket, grown)) == ["generator.0.weight"]
