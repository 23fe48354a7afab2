"""What a network costs: parameters, prunable weights, multiply-adds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ticketlab.models.entering import sample_input
from ticketlab.models.prunable import layer_kind, prunable, raw_weight

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.masked import LayerKind


@dataclass(frozen=True)
class NetworkCost:
    """Counts for one network.

    `parameters`: numbers in all parameters; `prunable`: numbers in prunable weights by kind of layer; `multiply_adds`:
    of convolutions and linear layers in one forward of one image, biases not counted.
    """

    parameters: int
    prunable: dict[LayerKind, int]
    multiply_adds: int


def cost(networks: Mapping[str, nn.Module], shape: ImageShape) -> dict[str, NetworkCost]:
    """The cost of each network at images of `shape`; a generator is fed what it draws, others images.

    Computed on torch's meta device: no arithmetic, no memory, and the networks themselves are left alone. They may be
    on the meta device already.
    """
    return {title: _cost(network, shape) for title, network in networks.items()}


def layer_multiply_adds(networks: Mapping[str, nn.Module], shape: ImageShape) -> dict[str, int]:
    """Multiply-adds of every convolution and linear layer in one forward of one image, by the name of its weight.

    Names are those of `prunable`; layers that share a weight count together. Nothing for a network whose forward looks at
    values, which cannot run without them.
    """
    found: dict[str, int] = {}
    for title, network in networks.items():
        try:
            own = _multiply_adds(network, sample_input(network, shape))
        except (NotImplementedError, RuntimeError):
            continue
        found |= {f"{title}.{name}": count for name, count in own.items()}
    return found


def _cost(network: nn.Module, shape: ImageShape) -> NetworkCost:
    counts: dict[LayerKind, int] = {"conv": 0, "linear": 0}
    for weight in prunable({"": network}, [""], ["conv", "linear"]).values():
        counts[weight.kind] += weight.parameter.numel()
    return NetworkCost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        prunable=counts,
        multiply_adds=sum(_multiply_adds(network, sample_input(network, shape)).values()),
    )


@torch.no_grad()
def _multiply_adds(network: nn.Module, entering: tuple[Tensor, ...]) -> dict[str, int]:
    """Those of each weight, by its name within the network."""
    shadow = _on_meta(network).eval()
    weights = prunable({"": shadow}, [""], ["conv", "linear"])
    names = {id(weight.parameter): name for name, weight in weights.items()}
    found = dict.fromkeys(names.values(), 0)

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weight = raw_weight(layer)[1]
        # Each output (of a transposed convolution: each input) meets one slice of the weight.
        meeting = inputs[0] if isinstance(layer, nn.modules.conv._ConvTransposeNd) else output
        found[names[id(weight)]] += meeting.numel() * weight[0].numel()

    for layer in shadow.modules():
        if layer_kind(layer) is not None:
            layer.register_forward_hook(count)
    shadow(*(part.to("meta") for part in entering))
    return found


def _on_meta(network: nn.Module) -> nn.Module:
    """A copy of the network whose tensors have shapes but no memory."""
    shadows: dict[int, Any] = {id(p): nn.Parameter(p.detach().to("meta")) for p in network.parameters()}
    shadows.update({id(buffer): buffer.to("meta") for buffer in network.buffers()})
    return copy.deepcopy(network, shadows)
