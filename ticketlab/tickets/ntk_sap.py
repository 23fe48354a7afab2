"""NTK-SAP: keep the weights that the tangent kernel's trace is most sensitive to, whatever values weights start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from ticketlab.models.initialise import kaiming_normal, normal
from ticketlab.models.prunable import prunable
from ticketlab.tickets.probed import (
    gradient,
    own_name,
    private_networks,
    probe_inputs,
    scored_weights,
    set_mode,
)
from ticketlab.tickets.scope import of_each_network

if TYPE_CHECKING:
    from ticketlab.randomness import Key
    from ticketlab.spec.foresight import NtkSap
    from ticketlab.tickets.subject import Subject


def scores(options: NtkSap, subject: Subject) -> dict[str, Tensor]:
    """|d/dm of the sum over draws of ||f(x; m w) - f(x; m (w + eps d))||^2|; 0 where pruned.

    In every draw, for every probe batch, weights w start anew by Kaiming's rule (fan in, gain sqrt 2), batch
    normalisation with scale 1, shift 0 and the statistics of the batch, x is N(0, 1) in the shape of the batch, and d
    is N(0, 1) for the scored weights. Biases stay. Numbers depend on the subject's key, the draw, the batch and the
    parameter's name, the first of one that layers share. Three forward passes and two backward ones per draw and batch; neither images nor labels count:
    normalisation by class, too, starts anew with scale 1 and shift 0 for every class.
    Wang et al. 2023, arXiv 2304.02840.
    """
    networks = private_networks(subject, options.precision)
    weights = scored_weights(subject, networks)
    total = {layer: torch.zeros_like(weight, requires_grad=False) for layer, weight in weights.items()}
    for name, layers in of_each_network(subject.weights).items():
        network = networks[name]
        kept = {own_name(layer): subject.mask[layer] for layer in layers}
        for draw in range(options.draws):
            for number, (batch, *labels) in enumerate(probe_inputs(subject, name, options.precision)):
                key = subject.key.of("ntk_sap", name, draw, number)
                noise = (_normal(batch, key.of("inputs")), *labels)
                _restart(network, kept, noise, key)
                for layer, part in zip(layers, _sensitivity(network, kept, noise, options.eps, key), strict=True):
                    total[layer].add_(part)
    return {layer: part.abs() for layer, part in total.items()}


@torch.no_grad()
def _restart(network: nn.Module, kept: Mapping[str, Tensor], noise: tuple[Tensor, ...], key: Key) -> None:
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.reset_parameters()
            module.momentum = 1.0
    for layer, found in prunable({"network": network}, ("network",), ("conv", "linear")).items():
        name, weight = own_name(layer), found.parameter
        weight.copy_(kaiming_normal("in")(weight.shape, key.of("weight", name).generator()))
        if name in kept:
            weight.mul_(kept[name].to(weight.device))
    set_mode(network, "train")
    network(*noise)
    set_mode(network, "eval")


def _sensitivity(
    network: nn.Module, kept: Mapping[str, Tensor], noise: tuple[Tensor, ...], eps: float, key: Key
) -> list[Tensor]:
    """The derivatives in the mask, where it keeps anything, of one squared difference."""
    here = [network.get_parameter(name) for name in kept]
    there = [
        (weight.detach() + eps * _normal(weight, key.of("change", name)) * mask.to(weight.device)).requires_grad_()
        for weight, (name, mask) in zip(here, kept.items(), strict=True)
    ]
    moved = functional_call(network, dict(zip(kept, there, strict=True)), noise)
    ends = [*here, *there]
    slopes = gradient((network(*noise) - moved).square().sum(), ends)
    products = [end.detach() * slope for end, slope in zip(ends, slopes, strict=True)]
    return [one + other for one, other in zip(products[: len(here)], products[len(here) :], strict=True)]


def _normal(like: Tensor, key: Key) -> Tensor:
    """N(0, 1) in the shape, precision and place of a tensor."""
    return normal()(like.shape, key.generator()).to(like)
