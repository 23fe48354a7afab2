"""Networks as sums over paths: weights without signs, nothing added on the way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from ticketlab.errors import TicketlabError
from ticketlab.models.prunable import layer_kind
from ticketlab.models.spectral import SpectralLayer
from ticketlab.randomness import Key

Gain = Callable[[str, Tensor], Tensor]
"""From the name of a parameter and the factor it puts on a path to the factor it is replaced by."""

SINGULAR = ("weight_u", "weight_v")


@torch.no_grad()
def plain_state(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and floating-point buffers by name, with spectrally normalised layers made ordinary ones of w / sigma.

    Values are those of `network` in eval mode; most share its memory. For `torch.func.functional_call`, under which
    sigma counts as a constant.
    """
    state: dict[str, Tensor] = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for path, module in network.named_modules():
        if isinstance(module, SpectralLayer):
            prefix = f"{path}." if path else ""
            state[prefix + "weight_orig"] = module.effective_weight()
            # Without singular vectors sigma counts as 1.
            state |= {prefix + name: torch.zeros_like(state[prefix + name]) for name in SINGULAR}
    return {name: value.detach() for name, value in state.items() if value.is_floating_point()}


@torch.no_grad()
def path_state(network: nn.Module, gain: Gain) -> dict[str, Tensor]:
    """Parameters and buffers with which `network`, in eval mode, adds up products of `gain(name, factor)` over paths.

    The factors on a path are the weights of its conv and linear layers, w / sigma where they are spectrally normalised
    (sigma counts as a constant), the scales s = gamma / sqrt(variance + eps) of its batch normalisation, and factors by
    channel, as on the identity shortcuts of released residual networks. What is added on the way is zero: biases, batch-norm shifts and running means. TicketlabError for layers with parameters that
    are neither. For `torch.func.functional_call`. `gain` is asked once for each factor, and may work in place on a
    network that is not needed any more.

    Conditional batch normalisation, whose `weight` and `bias` are (classes, channels), is one plain normalisation for
    each class, over statistics that they share: an image of class k takes paths with the factors s_k = gamma_k /
    sqrt(variance + eps), and without the shift of its class. A label chooses among networks with the same weights and
    is no input, so within each of these networks all that holds of plain ones holds as it is.
    """
    state: dict[str, Tensor] = {}
    for path, module in network.named_modules():
        if isinstance(module, _BatchNorm):
            state |= _scaling(module, f"{path}." if path else "", gain)
        elif layer_kind(module) is None and any(True for _ in module.parameters(recurse=False)) and not _scales(module):
            raise TicketlabError(
                f"{path or 'the network'}: what a {type(module).__name__} puts on a path is not known to this method: "
                "whether its parameters multiply what comes in, or are added to it, its class does not say",
                mend="build normalisation by class as ConditionalBatchNorm2d of ticketlab.models.conditional, score only "
                "networks without such layers (ticket.networks), or take a method that looks at losses, as snip",
            )
    for name, value in plain_state(network).items():
        if name not in state:
            state[name] = _without_shift(name, value, gain)
    return state


def _scales(module: nn.Module) -> bool:
    """Whether a module multiplies channels by its one parameter, `weight`, and does no more: it is asked, with numbers.

    They are no factor's own, so that a square or a magnitude of the weight is found out.
    """
    own = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    if own != ["weight"]:
        return False
    weight = module.get_parameter("weight")
    source = Key(0).generator()
    factors = torch.randn(weight.shape, generator=source).to(weight)
    for trailing in ((3, 2), ()):
        maps = torch.randn(4, weight.numel(), *trailing, generator=source).to(weight)
        expected = maps * factors.view(-1, *[1] * len(trailing))
        try:
            found = functional_call(module, {"weight": factors}, (maps,))
        except (RuntimeError, TypeError, IndexError, ValueError):
            continue  # not a layer of such inputs
        if isinstance(found, Tensor) and found.shape == maps.shape and torch.allclose(found, expected, rtol=1e-4):
            return True
    return False


def _without_shift(name: str, value: Tensor, gain: Gain) -> Tensor:
    last = name.rpartition(".")[2]
    if last in SINGULAR:
        return value
    return torch.zeros_like(value) if last == "bias" else gain(name, value)


def _scaling(norm: _BatchNorm, prefix: str, gain: Gain) -> dict[str, Tensor]:
    if norm.running_var is None or norm.running_mean is None:
        raise TicketlabError(f"{prefix[:-1]}: batch normalisation without running statistics has no scale of its own")
    scale = torch.rsqrt(norm.running_var + norm.eps)
    still = torch.zeros_like(scale)
    if not norm.affine:
        variance = gain(prefix + "weight", scale).square().reciprocal()
        return {prefix + "running_mean": still, prefix + "running_var": variance - norm.eps}
    return {
        prefix + "weight": gain(prefix + "weight", norm.weight * scale),
        prefix + "bias": torch.zeros_like(norm.bias),
        prefix + "running_mean": still,
        prefix + "running_var": torch.full_like(scale, 1 - norm.eps),
    }
