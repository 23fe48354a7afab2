"""Private networks made ready for scoring, and derivatives of their losses over the whole probe set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ticketlab.tickets.scope import network_of, of_each_network

if TYPE_CHECKING:
    from ticketlab.tickets.subject import Subject

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def private_networks(
    subject: Subject, precision: Literal["float32", "float64"], mode: Literal["eval", "train"] = "eval"
) -> dict[str, nn.Module]:
    """The subject's networks in a precision and a mode; only the scored weights require gradients.

    In mode `train` batch normalisation alone trains, that is, uses the statistics of each batch: dropout would draw
    from the global generator, and power iterations would make scores depend on the order of the passes.
    """
    networks = dict(subject.networks(DTYPES[precision]))
    for network in networks.values():
        network.requires_grad_(False)
        set_mode(network, mode)
    for weight in scored_weights(subject, networks).values():
        weight.requires_grad_(True)
    return networks


def set_mode(network: nn.Module, mode: Literal["eval", "train"]) -> None:
    """Whether batch normalisation uses the statistics of each batch; everything else evaluates."""
    for module in network.modules():
        module.training = mode == "train" and isinstance(module, _BatchNorm)


def scored_weights(subject: Subject, networks: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """The private parameters behind `subject.weights`, by layer, in its order; pruned entries are zero."""
    return {layer: networks[network_of(layer)].get_parameter(own_name(layer)) for layer in subject.weights}


def own_name(layer: str) -> str:
    """What a layer's parameter is called within its network."""
    return layer.partition(".")[2]


def probe_inputs(
    subject: Subject, network: str, precision: Literal["float32", "float64"]
) -> Iterator[tuple[Tensor, ...]]:
    """What one network is given in each probe batch, one after the other: images or noise in a precision, then labels."""
    for number in range(len(subject.batches)):
        first, *labels = subject.inputs(number)[network]
        yield first.to(DTYPES[precision]), *labels


def batch_sizes(count: int, batch: int) -> list[int]:
    """Lengths of the batches; a last image alone joins those before it, since normalisation over one is nothing."""
    sizes = [min(batch, count - start) for start in range(0, count, batch)]
    if sizes[-1] == 1 < batch and len(sizes) > 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


Derive = Callable[[Tensor, list[nn.Parameter], list[str]], Sequence[Tensor]]
"""From a loss, weights and their layers to one tensor for each weight, of its shape."""


def sum_over_probe(
    subject: Subject,
    networks: Mapping[str, nn.Module],
    weights: Mapping[str, nn.Parameter],
    derive: Derive,
    look: int = 0,
) -> dict[str, Tensor]:
    """What `derive` makes of the loss of each network, in its own weights, averaged over the images of the probe set.

    Losses are means over a batch, so each batch counts by its size; where the probe set is drawn for every look at it, of
    which this is number `look` of the round, each counts alike, as in released code. One forward pass per batch, beside
    what `derive` does.
    """
    total = {layer: torch.zeros_like(weight, requires_grad=False) for layer, weight in weights.items()}
    counts = [1] * len(subject.batches) if subject.redrawn else subject.batches
    first = look * len(counts) if subject.redrawn else 0
    for number, count in enumerate(counts, first):
        losses = subject.losses(networks, number)
        for network, layers in of_each_network(weights).items():
            parts = derive(losses[network], [weights[layer] for layer in layers], layers)
            for layer, part in zip(layers, parts, strict=True):
                total[layer].add_(part.detach(), alpha=count / sum(counts))
    return total


def gradient(of: Tensor, weights: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
    """Derivatives of a scalar, zero for weights it does not depend on; what other scalars share of its graph stays."""
    return torch.autograd.grad(of, weights, retain_graph=True, create_graph=create_graph, materialize_grads=True)


def gradient_of_sum(of: Iterable[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
    """The derivatives of a sum of scalars, each made, derived and forgotten before the next."""
    total = [torch.zeros_like(weight, requires_grad=False) for weight in weights]
    for term in of:
        parts = torch.autograd.grad(term, weights, materialize_grads=True)
        for whole, part in zip(total, parts, strict=True):
            whole.add_(part)
    return total
