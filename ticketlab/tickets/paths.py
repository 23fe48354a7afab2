"""Forward passes that sum over the paths of a network: gates and pools that are written down, or left open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from ticketlab.models.conditional import classes_told
from ticketlab.tickets.bends import Rectified, rectified

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
TANHS = frozenset({torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_})


@dataclass
class Trace:
    """What one forward pass decided: which gates were open, and which entries its max-pools let through."""

    gates: list[Tensor] = field(default_factory=list)
    routes: list[Tensor] = field(default_factory=list)


class Linear(TorchFunctionMode):
    """Within it, on this thread, tanh is the identity: a network that ends in tanh gives what it would squash.

    Raises TicketlabError for functions through which a network is known to be no sum over paths (GELU, layer
    normalisation). Of those without a name of their own, `ticketlab.tickets.straight` finds that they bend.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func in POOLS:
            return self.pooled(func, args, named)
        if func in TANHS:
            return args[0]
        relu = rectified(func, args, named)
        return func(*args, **named) if relu is None else self.rectified(relu, partial(func, *args, **named))

    def rectified(self, relu: Rectified, call: Callable[[], Any]) -> Any:
        """A call that is a ReLU or leaky ReLU."""
        return call()

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

    def rectified(self, relu: Rectified, call: Callable[[], Any]) -> Any:
        """The gate is that of the values before, which the call may overwrite."""
        gate = relu.before > 0
        if relu.slope:
            gate = torch.where(gate, 1.0, relu.slope**2).to(relu.before.dtype)
        self.trace.gates.append(gate)
        return call()

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

    def rectified(self, relu: Rectified, call: Callable[[], Any]) -> Any:
        """Values times the gate recorded at this call, written where the call would write."""
        if self.gates is None:
            return relu.before
        return relu.before.mul_(next(self.gates)) if relu.in_place else relu.before * next(self.gates)

    def pooled(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The values at the places recorded at this call."""
        if self.routes is None:
            return func(*args, **named)
        values, route = args[0] if args else named["input"], next(self.routes)
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
