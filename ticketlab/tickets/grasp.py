"""GraSP: keep the weights that the flow of the gradient needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.tickets.probed import gradient, private_networks, scored_weights, sum_over_probe

if TYPE_CHECKING:
    from ticketlab.spec.foresight import Grasp
    from ticketlab.tickets.subject import Subject

IMAGES_FROM = "generator"
"""The network whose output is images, on which a temperature would mean nothing."""


def scores(options: Grasp, subject: Subject) -> dict[str, Tensor]:
    """W (H g), signed: the most negative are pruned first; 0 where pruned.

    g and H are gradient and Hessian of the mean loss over the whole probe set, whose logits (of a critic: scores) are
    divided by the temperature, in the scored weights of each network by itself. The same images are used for both,
    unless the probe set is drawn for every pass. Per probe batch one forward and one backward pass for g, and one forward, one backward and the backward of that for Hg.
    Wang et al. 2020, arXiv 2002.07376; their released code divides by |sum of scores|, which ranks alike.
    """
    networks = private_networks(subject, options.precision, options.mode)
    weights = scored_weights(subject, networks)
    warm = {
        name: network if name == IMAGES_FROM else Tempered(network, options.temperature)
        for name, network in networks.items()
    }
    slopes = sum_over_probe(subject, warm, weights, lambda loss, own, _: gradient(loss, own))
    # What is pruned has no slope: the network computes with mask times weight, whatever the weight is.
    flow = {layer: slope * subject.mask[layer].to(slope.device) for layer, slope in slopes.items()}

    def hessian_times_flow(loss: Tensor, own: list[nn.Parameter], layers: list[str]) -> Sequence[Tensor]:
        slopes = gradient(loss, own, create_graph=True)
        along = [(slope * flow[layer]).sum() for slope, layer in zip(slopes, layers, strict=True)]
        return gradient(sum(along[1:], start=along[0]), own)

    products = sum_over_probe(subject, warm, weights, hessian_times_flow, look=1)
    return {layer: weight.detach() * products[layer] for layer, weight in weights.items()}


class Tempered(nn.Module):
    """A network whose outputs are divided by a temperature."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, *entering: Tensor) -> Tensor:
        """What the network gives, cooled."""
        cooled: Tensor = self.network(*entering) / self.temperature
        return cooled
