"""The lab's own weights given back to a model: a run's file names every network, and its tensors as the network does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from ticketlab.models.pretrained import TICKETLAB, load
from ticketlab.models.prunable import last_layers


def are_own(tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module]) -> bool:
    """Whether a file has tensors of the model's first network, by its name."""
    first = next(iter(networks))
    return any(name.startswith(f"{first}.") for name in tensors)


def load_own(tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module], where: str) -> set[str]:
    """Give every network the values that it ended with in the run of the file; the names of the tensors that got some.

    A last layer that the file has not, or has with another number of outputs, keeps its initial values. Moving averages
    are not looked at. DataError, naming the file as `where`, for a file of another model.
    """
    given: set[str] = set()
    for layer in last_layers(networks):
        title, _, weight = layer.partition(".")
        origin = replace(TICKETLAB, prefix=f"{title}.")
        if layer not in tensors or tensors[layer].shape[:1] != networks[title].get_parameter(weight).shape[:1]:
            head = (f"{weight.rpartition('.')[0]}.",)
            origin = replace(origin, ignored=head, random=head)
        given.update(f"{title}.{name}" for name in load(origin, tensors, networks[title], where).given)
    return given
