"""Initial values of networks, each tensor drawn from a generator of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from ticketlab.models.spectral import SpectralLayer, leading_vectors

if TYPE_CHECKING:
    from ticketlab.randomness import Key

Draw = Callable[[torch.Size, torch.Generator], Tensor]
"""Values of a given shape, float32 on the CPU, from a CPU generator."""

Scheme = Callable[[nn.Module], tuple[Draw, Draw]]
"""How a layer starts: its weight, its bias (if it has one). Asked only for layers with parameters of their own."""


def initialise(networks: Mapping[str, nn.Module], scheme: Scheme, key: Key) -> dict[str, nn.Module]:
    """Give networks that were made on the meta device their memory and their initial values.

    The parameter called `name` is drawn from `key.of("init", network, name)`, so no number depends on the device, on
    the order in which layers are made, or on another layer; the global generator is neither read nor advanced. Memory
    is on torch's default device; where that is meta (`with torch.device("meta")`) networks stay there, without values.
    """
    device = torch.get_default_device()
    if device.type != "meta":
        for title, network in networks.items():
            network.to_empty(device=device)
            for name, layer in network.named_modules():
                _start(layer, scheme, key.of("init", title), f"{name}." if name else "")
    return dict(networks)


@torch.no_grad()
def _start(layer: nn.Module, scheme: Scheme, key: Key, prefix: str) -> None:
    if isinstance(layer, nn.modules.batchnorm._NormBase):
        layer.reset_running_stats()
    own = dict(layer.named_parameters(recurse=False))
    if not own:
        return
    weight, bias = scheme(layer)
    for name, parameter in own.items():
        draw = bias if name == "bias" else weight
        parameter.copy_(draw(parameter.shape, key.of(prefix + name).generator()))
    if isinstance(layer, SpectralLayer):
        direction = normal()(layer.weight_u.shape, key.of(prefix + "weight_u").generator())
        u, v = leading_vectors(layer.weight_orig, direction)
        layer.weight_u.copy_(u.to(layer.weight_u.dtype))
        layer.weight_v.copy_(v.to(layer.weight_v.dtype))


def uniform(bound: float) -> Draw:
    """Draws from U[-bound, bound)."""

    def draw(shape: torch.Size, generator: torch.Generator) -> Tensor:
        # Scaled in two roundings of its own: a fused multiply-add would give other bits on another machine.
        return torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu").mul_(2 * bound).sub_(bound)

    return draw


def normal(mean: float = 0.0, std: float = 1.0) -> Draw:
    """Draws from N(mean, std^2), made in float64: rounded to float32 they do not depend on the CPU's kernels."""

    def draw(shape: torch.Size, generator: torch.Generator) -> Tensor:
        numbers = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
        return numbers.mul_(std).add_(mean).float()

    return draw


def constant(value: float) -> Draw:
    """The same value everywhere."""
    return lambda shape, _: torch.full(shape, value, dtype=torch.float32, device="cpu")


def xavier_uniform(gain: float = 1.0) -> Draw:
    """U[-a, a), a = gain sqrt(6 / (fan in + fan out)); Glorot and Bengio 2010, equation 16."""
    return lambda shape, generator: uniform(gain * math.sqrt(6 / sum(fans(shape))))(shape, generator)


def xavier_normal(gain: float = 1.0) -> Draw:
    """N(0, s^2), s = gain sqrt(2 / (fan in + fan out)); Glorot and Bengio 2010."""
    return lambda shape, generator: normal(0.0, gain * math.sqrt(2 / sum(fans(shape))))(shape, generator)


def kaiming_normal(fan: Literal["in", "out"] = "in", gain: float = math.sqrt(2)) -> Draw:
    """N(0, s^2), s = gain / sqrt(fan); He et al. 2015, equations 10 and 14."""
    side = 0 if fan == "in" else 1
    return lambda shape, generator: normal(0.0, gain / math.sqrt(fans(shape)[side]))(shape, generator)


def framework_default(layer: nn.Module) -> tuple[Draw, Draw]:
    """The start torch gives convolutions and linear layers: weight and bias U[-b, b), b = 1 / sqrt(fan in)."""
    weight = next(parameter for name, parameter in layer.named_parameters(recurse=False) if name != "bias")
    draw = uniform(1 / math.sqrt(fans(weight.shape)[0]))
    return draw, draw


def fans(shape: torch.Size) -> tuple[int, int]:
    """(fan in, fan out) of a convolution (out, in, height, width) or linear weight (out, in)."""
    return shape[1:].numel(), shape[0] * shape[2:].numel()
