"""Networks as sums over paths: weights without signs, nothing added on the way, gates and pools that are written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from ticketlab.errors import TicketlabError
from ticketlab.models.conditional import classes_told
from ticketlab.models.prunable import layer_kind
from ticketlab.models.spectral import SpectralLayer

Gain = Callable[[str, Tensor], Tensor]
"""From the name of a parameter and the factor it puts on a path to the factor it is replaced by."""

RELUS = frozenset({F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.leaky_relu})
POOLS: Mapping[Any, Callable[..., Any]] = {
    F.max_pool1d: F.max_pool1d,
    F.max_pool2d: F.max_pool2d,
    F.max_pool3d: F.max_pool3d,
    torch.max_pool1d: F.max_pool1d,
    torch.max_pool2d: F.max_pool2d,
    torch.max_pool3d: F.max_pool3d,
    F.adaptive_max_pool1d: F.adaptive_max_pool1d,
    F.adaptive_max_pool2d: F.adaptive_max_pool2d,
    F.adaptive_max_pool3d: F.adaptive_max_pool3d,
}
SINGULAR = ("weight_u", "weight_v")
TANHS = frozenset({torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_})
BENT = frozenset(
    {
        *(F.celu, F.elu, F.gelu, F.glu, F.hardsigmoid, F.hardswish, F.hardtanh, F.logsigmoid, F.mish, F.prelu),
        *(F.relu6, F.rrelu, F.selu, F.silu, F.softplus, F.softsign, F.softmax, torch.softmax, Tensor.softmax),
        *(torch.sigmoid, Tensor.sigmoid, torch.prelu, torch.selu, torch.celu),
        *(F.group_norm, F.instance_norm, F.layer_norm, F.rms_norm, F.scaled_dot_product_attention),
    }
)
"""Functions that no gate stands for: through them a network is not a sum over paths."""


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
    (sigma counts as a constant), and the scales s = gamma / sqrt(variance + eps) of its batch normalisation. What is
    added on the way is zero: biases, batch-norm shifts and running means. TicketlabError for layers with parameters that
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
        elif layer_kind(module) is None and any(True for _ in module.parameters(recurse=False)):
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


@dataclass
class Trace:
    """What one forward pass decided: which gates were open, and which entries its max-pools let through."""

    gates: list[Tensor] = field(default_factory=list)
    routes: list[Tensor] = field(default_factory=list)


class Linear(TorchFunctionMode):
    """Within it, on this thread, tanh is the identity: a network that ends in tanh gives what it would squash.

    Raises TicketlabError for functions through which a network is not a sum over paths (GELU, layer normalisation).
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func in RELUS:
            return self.rectified(func, args, named)
        if func in POOLS:
            return self.pooled(func, args, named)
        if func in TANHS:
            return args[0]
        if func in BENT:
            raise TicketlabError(f"this method sums over the paths of ReLU networks, and this one has {func.__name__}")
        return func(*args, **named)

    def rectified(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """A call of ReLU or leaky ReLU."""
        return func(*args, **named)

    def pooled(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """A call of a max-pool."""
        return func(*args, **named)


class Recorded(Linear):
    """Writes down the gates and routes of a forward pass, in the order of its calls, and changes no result but tanh's.

    A gate is the square of the activation's slope: 1 where the pre-activation is positive, else 0, or for leaky ReLU
    its negative slope squared.
    """

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace

    def rectified(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The gate is that of the values before, which the call may overwrite."""
        before = _first(args, named)
        gate = before > 0
        if func is F.leaky_relu:
            slope = args[1] if len(args) > 1 else named.get("negative_slope", 0.01)
            gate = torch.where(gate, 1.0, slope**2).to(before.dtype)
        self.trace.gates.append(gate)
        return func(*args, **named)

    def pooled(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The route is the flat position of each maximum."""
        result, route = POOLS[func](*args, **{**named, "return_indices": True})
        self.trace.routes.append(route)
        return result


class Retraced(Linear):
    """A forward pass that takes the decisions of a recorded one: through its gates if `gated`, its routes if `routed`.

    Without gates activations are the identity; without routes max-pools choose for themselves. Inputs may be one image
    for a trace of several: it is repeated where images part.
    """

    def __init__(self, trace: Trace, gated: bool, routed: bool = True) -> None:
        super().__init__()
        self.gates = iter(trace.gates) if gated else None
        self.routes = iter(trace.routes) if routed else None

    def rectified(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Values times the gate recorded at this call."""
        before = _first(args, named)
        return before if self.gates is None else before * next(self.gates)

    def pooled(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The values at the places recorded at this call."""
        if self.routes is None:
            return func(*args, **named)
        values, route = _first(args, named), next(self.routes)
        maps = values.expand(route.shape[0], *values.shape[1:]).flatten(2)
        return maps.gather(2, route.flatten(2)).view_as(route)


def through_paths(
    network: nn.Module,
    ones: dict[str, Tensor],
    squares: dict[str, Tensor],
    given: tuple[Tensor, ...],
    routed: bool = True,
) -> Tensor:
    """PX's sum over images and outputs of activity times strength, differentiable in `squares`.

    The network is given images or noise, and after these labels if there are any. Activity is the network with the
    state `ones` on squared inputs, through the gates of the network itself as it is `given` them, and counts as
    constant; strength is that with `squares` on ones, without gates. Strength is the same for all images up to the
    first max-pool, so of one image, unless labels tell images apart: then of each, with its label. Unless `routed`,
    both leave max-pools their own choice.
    """
    batch, *labels = given
    told = classes_told(network.modules())
    apart = 1 if told is None else len(batch)
    trace = Trace()
    with torch.no_grad():
        with Recorded(trace):
            network(*given)
        with Retraced(trace, gated=True, routed=routed):
            activity = functional_call(network, ones, (batch.square(), *labels))
    with Retraced(trace, gated=False, routed=routed):
        lone = (torch.ones_like(batch[:apart]), *(part[:apart] for part in labels))
        strength = functional_call(network, squares, lone)
    total: Tensor = (activity * strength).sum()
    return total


def _first(args: tuple[Any, ...], named: Mapping[str, Any]) -> Tensor:
    found: Tensor = args[0] if args else named["input"]
    return found
