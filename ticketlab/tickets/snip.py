"""SNIP: keep the weights to whose removal the loss is most sensitive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketlab.tickets.probed import gradient, private_networks, scored_weights, sum_over_probe

if TYPE_CHECKING:
    from torch import Tensor

    from ticketlab.spec.foresight import Snip
    from ticketlab.tickets.subject import Subject


def scores(options: Snip, subject: Subject) -> dict[str, Tensor]:
    """|dL/dm|, L the mean loss over the whole probe set and m the mask: w times the derivative in the masked weight.

    What the mask would do counts for pruned weights as well: they score by the w that they had in `subject.weights`.
    The loss of each network is derived in that network's own weights. One forward and one backward pass per probe
    batch. Lee et al. 2019 also divide by the sum over all weights, on which no ranking within a network depends.
    """
    networks = private_networks(subject, options.precision, options.mode)
    weights = scored_weights(subject, networks)
    gradients = sum_over_probe(subject, networks, weights, lambda loss, own, _: gradient(loss, own))
    return {layer: (subject.weights[layer].detach().to(slope) * slope).abs() for layer, slope in gradients.items()}
