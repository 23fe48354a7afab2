"""The mask of a ticket's file, carried to networks whose layers have the same names and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.errors import DataError
from ticketlab.models.prunable import PrunableWeight, last_layers, prunable
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import read
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scope import network_of

if TYPE_CHECKING:
    from ticketlab.spec.transfer import Transferred


def carried(options: Transferred, path: Path, networks: Mapping[str, nn.Module]) -> tuple[Mask, TicketFacts]:
    """The file's mask over the networks and kinds of layer that the options name, in the networks' order, and its facts.

    The last layer of a network is left dense, so is not in the mask, where only its number of outputs is another than in
    the file: it belongs to other classes, as the head does that fine-tuning starts anew. `last_layer` "pruned" refuses
    that, "dense" leaves it out always. CorruptFile for what is no ticket; DataError, naming the first layer that does
    not fit, for a mask of other networks: a name or shape they have not, or a layer left out of a kind that it masks.
    """
    assert options.networks is not None, "the spec was not resolved"
    assert options.layers is not None, "the spec was not resolved"
    mask, facts, _ = read(path)
    last = last_layers(networks)
    every = prunable(networks, tuple(networks), ("conv", "linear"))
    worn = prunable(networks, options.networks, options.layers)
    taken: dict[str, Tensor] = {}
    for name, kept in mask.items():
        if name not in every:
            raise _misfit(path, f"the model has no layer {name}")
        if name not in worn or (name in last and _left_dense(options, kept, every[name])):
            continue
        if kept.shape != every[name].parameter.shape:
            shapes = f"{tuple(every[name].parameter.shape)}, the file's mask {tuple(kept.shape)}"
            raise _misfit(path, f"{name} has the shape {shapes}")
        taken[name] = kept
    _refuse_gaps(path, mask, every, last)
    if not taken:
        raise _misfit(
            path, f"it masks no {' or '.join(options.layers)} layer of the {' or the '.join(options.networks)}"
        )
    return Mask({name: taken[name] for name in worn if name in taken}), facts


def _left_dense(options: Transferred, kept: Tensor, weight: PrunableWeight) -> bool:
    if options.last_layer is not None:
        return options.last_layer == "dense"
    shape = weight.parameter.shape
    return kept.shape[1:] == shape[1:] and kept.shape[0] != shape[0]


def _refuse_gaps(path: Path, mask: Mask, every: Mapping[str, PrunableWeight], last: Iterable[str]) -> None:
    """A ticket masks all layers of a kind in a network, but for the last: else it is of a network with fewer layers."""
    masked = {(network_of(name), every[name].kind) for name in mask}
    for name, weight in every.items():
        if name not in mask and name not in last and (network_of(name), weight.kind) in masked:
            raise _misfit(path, f"the file has no mask of {name}")


def _misfit(path: Path, what: str) -> DataError:
    return DataError(
        f"this is a ticket of another model: {what}",
        where=str(path),
        mend="the kind, depth, width and image size of the model that it was drawn for, or another file",
    )
