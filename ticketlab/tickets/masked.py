"""The weights of networks that a ticket's mask lies over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import nn

from ticketlab.errors import TicketlabError
from ticketlab.models.prunable import PrunableWeight, last_layers, prunable

if TYPE_CHECKING:
    from ticketlab.spec.masked import Masked


def masked_weights(options: Masked, networks: Mapping[str, nn.Module]) -> dict[str, PrunableWeight]:
    """The weights of the networks and kinds of layer that the ticket names, by "<network>.<parameter>".

    Where it names none: of the first network, and of convolutions and linear layers. Without the last layer of each
    network where that stays dense, or where whole outputs are pruned. TicketlabError if nothing is left, and for
    transposed convolutions under a structure that goes by axes.
    """
    names = options.networks or tuple(networks)[:1]
    kinds = options.layers or ("conv", "linear")
    try:
        found = prunable(networks, names, kinds)
        dense = (
            last_layers(networks) if options.last_layer == "dense" or options.control_structure.takes_outputs else ()
        )
    except KeyError as missing:
        raise TicketlabError(
            f"no network is called {missing.args[0]}", mend=f"networks: {', '.join(networks)}"
        ) from None
    except AttributeError as problem:
        raise TicketlabError(
            f"a weight that is computed from other parameters cannot be masked: {problem}",
            mend="torch.nn.utils.parametrize.remove_parametrizations makes it a parameter",
        ) from problem
    left = {name: weight for name, weight in found.items() if name not in dense}
    if not left:
        raise TicketlabError(
            f"no {' or '.join(kinds)} layer that may be pruned in {', '.join(names) or 'no network'}",
            mend="a model with more layers, other kinds of layer, or single weights of the last layer",
        )
    if options.control_structure.by_axis:
        _refuse_transposed(options, left)
    return left


def _refuse_transposed(options: Masked, weights: Mapping[str, PrunableWeight]) -> None:
    """Masks are chosen and permuted from their bits alone, which do not say that inputs come first."""
    for name, weight in weights.items():
        if not weight.outputs_first:
            raise TicketlabError(
                f"{name} is of a transposed convolution, whose first axis is its inputs: `{options.control_structure.name}` "
                "would take them for outputs",
                where="ticket.structure",
                mend="single weights, or layers and networks without it",
            )
