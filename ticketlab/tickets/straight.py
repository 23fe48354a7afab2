"""Asking a network whether it is a sum over paths: what bends in it and has no name of its own shows in its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ticketlab.errors import TicketlabError
from ticketlab.models.initialise import normal
from ticketlab.tickets.paths import Recorded, Retraced, Trace
from ticketlab.tickets.probed import set_mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from ticketlab.randomness import Key


@torch.no_grad()
def require_straight(name: str, network: nn.Module, given: tuple[Tensor, ...], key: Key) -> None:
    """TicketlabError unless a private network is linear but for a shift, its ReLUs left out and its pools' choices fixed.

    Of two inputs x and y drawn from N(0, 1) in the shape of those `given`, with their first label, f(x) + f(y) +
    f(-x - y) is 3 f(0) up to rounding. No ReLU in any spelling passes: of three numbers that add up to 0 one is above.
    Two forward passes of four inputs, in eval mode. Nothing is asked of batch normalisation without running statistics,
    which a method itself may take or refuse.
    """
    if any(isinstance(module, _BatchNorm) and module.running_var is None for module in network.modules()):
        return
    set_mode(network, "eval")
    batch, *labels = given
    one, other = normal()(torch.Size((2, *batch.shape[1:])), key.of("straight", name).generator()).to(batch)
    inputs = (torch.stack([one, other, -one - other, torch.zeros_like(one)]), *(part[:1].expand(4) for part in labels))
    trace = Trace()
    with Recorded(trace):
        network(*inputs)
    trace.routes = [route[:1].expand_as(route) for route in trace.routes]
    with Retraced(trace, gated=False):
        outputs = network(*inputs)
    _require_small(name, outputs[:3].sum(0) - 3 * outputs[3], outputs)


@torch.no_grad()
def require_proportional(name: str, outputs: Callable[..., Tensor], given: tuple[Tensor, ...]) -> None:
    """TicketlabError unless twice the inputs `given`, before labels, make twice the outputs. Two forward passes."""
    inputs, *labels = given
    once, twice = outputs(inputs, *labels), outputs(2 * inputs, *labels)
    _require_small(name, twice - 2 * once, twice)


def _require_small(name: str, apart: Tensor, outputs: Tensor) -> None:
    """A difference within rounding, for which half the digits are room enough; overflow says nothing either way."""
    if apart.abs().max() > torch.finfo(outputs.dtype).eps ** 0.5 * outputs.abs().max():
        raise TicketlabError(
            "this method sums over the paths of ReLU networks, and this one is none: even where no ReLU bends, what comes "
            "out is not in proportion to what goes in",
            where=name,
            mend="write a ReLU as torch.nn.functional.relu, as clamp(min=0) or as a maximum with zeros; with anything else "
            "take a method that looks at losses, as snip",
        )
