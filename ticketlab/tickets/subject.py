"""What a pruning method may look at when it scores weights: the one calling convention of all methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from ticketlab.errors import TicketlabError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ticketlab.randomness import Key
    from ticketlab.tickets.mask import Mask


def _not_offered(what: str) -> Callable[..., Any]:
    def refuse(*_: object) -> NoReturn:
        raise TicketlabError(f"the pruning method asks for {what}, which this run does not offer")

    return refuse


_no_networks = _not_offered("networks")
_no_inputs = _not_offered("inputs")
_no_losses = _not_offered("losses")


@dataclass(frozen=True)
class Subject:
    """What is scored. A method is one function `scores(options, subject) -> {layer: score}`; higher scores are kept.

    weights: the raw prunable weights, in the order in which ties are broken; last iterate or moving average as asked.
    mask: what is kept so far, over the same layers.
    key: the address of this round's random draws.
    networks(): the networks in eval mode, on their device, carrying `weights` with `mask` applied. Each call builds
        private modules, so whatever a method does to parameters, buffers, gradients or modes is gone with them.
        Parameter p of network n is the layer "n.p".
    inputs(): for each network one batch of recorded inputs: images, or noise for a generator.
    losses(networks, draw): for each network its scalar training loss on the recorded labelled batch number `draw`
        (0, 1, ...), differentiable through the modules given; the same draw is the same batch in every call.

    What needs a network is built only when called, and calling what the run does not offer raises TicketlabError. The
    options class names what its method calls in `scores_need`.
    """

    weights: Mapping[str, Tensor]
    mask: Mask
    key: Key
    networks: Callable[[], Mapping[str, nn.Module]] = _no_networks
    inputs: Callable[[], Mapping[str, Tensor]] = _no_inputs
    losses: Callable[[Mapping[str, nn.Module], int], Mapping[str, Tensor]] = _no_losses
