"""Which calls of torch are a ReLU, however it is spelled, and which bend what goes through them in another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ticketlab.errors import TicketlabError

RELUS = frozenset({F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_})
LEAKY = frozenset({F.leaky_relu, F.leaky_relu_})
THRESHOLDS = frozenset({F.threshold, torch.threshold, torch.threshold_})
LOWER = frozenset(
    {
        *(torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_, torch.clip, torch.clip_, Tensor.clip, Tensor.clip_),
        *(torch.clamp_min, torch.clamp_min_, Tensor.clamp_min, Tensor.clamp_min_),
    }
)
MAXIMA = frozenset({torch.maximum, Tensor.maximum, torch.fmax, Tensor.fmax, torch.max, Tensor.max})
OTHERWISE = THRESHOLDS | LOWER | MAXIMA
BENT = frozenset(
    {
        *(F.celu, F.elu, F.gelu, F.glu, F.hardsigmoid, F.hardswish, F.hardtanh, F.logsigmoid, F.mish, F.prelu),
        *(F.relu6, F.rrelu, F.selu, F.silu, F.softplus, F.softsign, F.softmax, torch.softmax, Tensor.softmax),
        *(torch.sigmoid, Tensor.sigmoid, torch.prelu, torch.selu, torch.celu),
        *(torch.clamp_max, torch.clamp_max_, Tensor.clamp_max, Tensor.clamp_max_),
        *(torch.minimum, Tensor.minimum, torch.fmin, Tensor.fmin),
        *(F.group_norm, F.instance_norm, F.layer_norm, F.rms_norm, F.scaled_dot_product_attention),
    }
)
"""Functions that no gate stands for: through them a network is not a sum over paths."""


@dataclass(frozen=True)
class Rectified:
    """What a ReLU is given, its slope below zero, and whether the call writes over what it is given."""

    before: Tensor
    slope: float
    in_place: bool


def rectified(func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Rectified | None:
    """The ReLU that a call is; None if it is neither a ReLU nor known to bend.

    A ReLU is also a threshold at 0 that puts 0, a clamp from below at 0, and a maximum with zeros. TicketlabError for
    what bends in another way. A maximum over an axis, and whatever has no name, is not known here.
    """
    if func in RELUS or func in LEAKY:
        slope = _argument(1, "negative_slope", args, named, 0.01) if func in LEAKY else 0.0
        return _rectified(func, args, named, _argument(0, "input", args, named), slope)
    if func in BENT:
        raise _refusal(func)
    if func in OTHERWISE:
        return _spelled_otherwise(func, args, named)
    return None


def _spelled_otherwise(func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Rectified | None:
    before = _argument(0, "input", args, named)
    if func in THRESHOLDS:
        bounds = [_argument(1, "threshold", args, named), _argument(2, "value", args, named)]
    elif func in LOWER:
        bounds = [_argument(1, "min", args, named)]
    else:
        other = _argument(1, "other", args, named)
        if not isinstance(other, Tensor):
            return None
        shape = (before + other).shape
        before, other = (before, other) if _all_zero(other) else (other, before)
        before, bounds = before.expand(shape), [other]
    if not before.is_floating_point():
        return None
    capped = func in LOWER and _argument(2, "max", args, named) is not None
    if capped or not all(map(_all_zero, bounds)):
        raise _refusal(func)
    return _rectified(func, args, named, before, 0.0)


def _rectified(func: Any, args: tuple[Any, ...], named: Mapping[str, Any], before: Tensor, slope: float) -> Rectified:
    # `inplace` is the only argument of these functions that is True or False.
    told = any(value is True for value in (*args, *named.values()))
    return Rectified(before, slope, told or func.__name__.endswith("_"))


def _argument(place: int, name: str, args: tuple[Any, ...], named: Mapping[str, Any], default: Any = None) -> Any:
    return args[place] if len(args) > place else named.get(name, default)


def _all_zero(bound: Any) -> bool:
    return bound is not None and not torch.as_tensor(bound).any()


def _refusal(func: Any) -> TicketlabError:
    name = func.__name__.strip("_")
    return TicketlabError(
        f"this method sums over the paths of ReLU networks, and this one has {name}",
        mend="a ReLU is known as torch.nn.functional.relu, as clamp(min=0) and as a maximum with zeros; with anything else "
        "take a method that looks at losses, as snip",
    )
