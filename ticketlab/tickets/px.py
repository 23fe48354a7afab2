"""Path eXclusion: keep the weights on the paths that carry the neural tangent kernel's trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ticketlab.tickets.path_state import path_state
from ticketlab.tickets.paths import through_paths
from ticketlab.tickets.probed import gradient_of_sum, own_name, private_networks, probe_inputs
from ticketlab.tickets.px_released import cvpr24_scores, eval_scores
from ticketlab.tickets.scope import of_each_network
from ticketlab.tickets.straight import require_straight

if TYPE_CHECKING:
    from ticketlab.spec.foresight import Px
    from ticketlab.tickets.subject import Subject


def scores(options: Px, subject: Subject) -> dict[str, Tensor]:
    """theta^2 dR/d(theta^2) of each weight; 0 where pruned (Iurada et al. 2024, arXiv 2406.01820).

    R = sum over images n and outputs k of [sum over paths p to k of a_p(x_n) x_n,i(p)^2] [sum over paths p to k of
    v_p^2], with v_p the product of the weights on p and a_p(x) = 1 where every ReLU on it is open; the first bracket
    counts as constant. Three copies of the network: G gates on x, A with ones for the weights that are kept on x^2, B
    with squared weights on ones. A and B take every max-pool's choice from G; biases and batch-norm shifts are dropped,
    batch normalisation is a factor s = gamma / sqrt(variance + eps) on a path (s^2 in B, 1 in A), a spectrally
    normalised layer weighs w / sigma with sigma constant. Every pixel of a generator is an output, before its tanh.
    Where normalisation is by class, an image takes the paths of its own: v_p is then that of the class of x_n.

    Per probe batch one forward pass of G and of A, and one forward and backward of B, on one image up to the first
    max-pool. TicketlabError for networks that are no sum over paths, asked once for the same weights. The released variants are in `ticketlab.tickets.px_released`.
    """
    networks = private_networks(subject, options.precision)
    checked = subject.memory.setdefault("straight", set())
    found: dict[str, Tensor] = {}
    for name, layers in of_each_network(subject.weights).items():
        network, images = networks[name], probe_inputs(subject, name, options.precision)
        kept = {own_name(layer): subject.mask[layer] for layer in layers}
        if options.variant == "recommended":
            own = _path_scores(network, kept, images)
        elif options.variant == "px_eval":
            own = eval_scores(network, kept, images)
        else:
            own = cvpr24_scores(network, list(kept), images)
        if name not in checked:
            require_straight(name, network, next(probe_inputs(subject, name, options.precision)), subject.key)
            checked.add(name)
        found |= dict(zip(layers, own, strict=True))
    return found


def _path_scores(network: nn.Module, kept: Mapping[str, Tensor], images: Iterable[tuple[Tensor, ...]]) -> list[Tensor]:
    ones = path_state(network, lambda name, factor: _one_where_kept(factor, kept.get(name)))
    squares = path_state(network, lambda _, factor: factor.square())
    flows = [squares[name].requires_grad_() for name in kept]
    slopes = gradient_of_sum((through_paths(network, ones, squares, batch) for batch in images), flows)
    return [slope.mul_(flow.detach()) for flow, slope in zip(flows, slopes, strict=True)]


def _one_where_kept(factor: Tensor, kept: Tensor | None) -> Tensor:
    return torch.ones_like(factor) if kept is None else torch.empty_like(factor).copy_(kept)
