"""What a pruning method may look at when it scores weights: the one calling convention of all methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from ticketlab.errors import TicketlabError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ticketlab.randomness import Key
    from ticketlab.tickets.mask import Mask


def _not_offered(what: str, base: str) -> Callable[..., Any]:
    def refuse(*_: object) -> NoReturn:
        raise TicketlabError(
            f"the pruning method asks for {what}, which this run does not offer",
            where="scores_need of the method's options",
            mend=f'derive the class from {base} (ticketlab.spec.drawing), and name "{what}" in its `scores_need`',
        )

    return refuse


_no_networks = _not_offered("networks", "Drawn or Probed")
_no_inputs = _not_offered("inputs", "Probed")
_no_losses = _not_offered("losses", "Probed")


@dataclass(frozen=True)
class Subject:
    """What is scored. A method is one function `scores(options, subject) -> {layer: score}`; higher scores are kept.

    weights: the raw prunable weights, in the order in which ties are broken; last iterate or moving average as asked.
    mask: what is kept so far, over the same layers.
    key: the address of this round's random draws.
    networks(precision): the networks in eval mode, on their device, carrying `weights` with `mask` applied, in a
        floating-point type or, without one, in their own. Each call makes private modules, so whatever a method does to
        parameters, buffers, gradients or modes is gone with them; and they are gone when the next round begins, but
        for modules that the method keeps in `memory`. Parameter p of network n is the layer "n.p".
    shapes: the shape of one input of each network, for methods that look at no data; `shape(network)` asks for it.
    batches: how many images each batch of the probe set has. The probe set is drawn once, balanced by class, without
        augmentation; its batches are numbered from 0 and the same in every call and every round.
    redrawn: whether it is drawn anew, and augmented, for each of the `looks` of the method's options at it in every round.
        Then batch i of the p-th look, from 0, has the number p len(batches) + i, and each batch counts alike, however
        short: `ticketlab.tickets.probed.sum_over_probe` does both.
    inputs(number): what each network is given in that batch, as `network(*given)`: scaled images, or noise for a
        generator; after these their labels, for a critic and for a generator that is conditional.
    memory: what the method keeps from round to round. It begins empty, and the weights are the same as long as it lasts;
        the scores must be those of a method that remembers nothing.
    losses(networks, number): for each network its scalar training loss (a mean, labels not smoothed) on that batch,
        differentiable through the modules given, which may be wrapped, and may be of double precision.

    What needs a network is built only when called, and calling what the run does not offer raises TicketlabError. The
    options class names what its method calls in `scores_need`.
    """

    weights: Mapping[str, Tensor]
    mask: Mask
    key: Key
    networks: Callable[..., Mapping[str, nn.Module]] = _no_networks
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    batches: tuple[int, ...] = ()
    redrawn: bool = False
    inputs: Callable[[int], Mapping[str, tuple[Tensor, ...]]] = _no_inputs
    losses: Callable[[Mapping[str, nn.Module], int], Mapping[str, Tensor]] = _no_losses
    memory: dict[str, Any] = field(default_factory=dict)

    def shape(self, network: str) -> tuple[int, ...]:
        """The shape of one input of a network, without the batch: (C, S, S) for images, (latent,) for noise."""
        return self.shapes[network] if network in self.shapes else tuple(self.inputs(0)[network][0].shape[1:])
