"""Layers that compute with a changed weight: a mask that depends on the weight as it is used, thresholds, and the like."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.models.prunable import raw_weight
from ticketlab.models.spectral import SpectralLayer


def change_weight(layer: nn.Module, change: nn.Module) -> None:
    """From now on the convolution or linear `layer` computes with change(w), in place.

    w is the weight that the layer would have used: for a spectrally normalised layer the normalised one, so that its
    power iterations see the raw weight alone. What `change` holds belongs to the layer as `change.<name>`: it is saved,
    copied and averaged with the network. TypeError for layers of other kinds, and for one that is changed already.
    """
    kind: Any = type(layer)
    if hasattr(layer, "change") or not isinstance(layer, nn.Conv2d | nn.Linear):
        raise TypeError(f"the weight of a {kind.__name__} cannot be changed on the way")
    layer.change = change
    layer.__class__ = cast("Any", _changed(kind))


@torch.no_grad()
def settle(network: nn.Module) -> None:
    """Undo `change_weight` throughout a network: a weight becomes what the change makes of it.

    Of a spectrally normalised layer the raw weight W becomes sigma change(W / sigma), sigma as before the change.
    """
    for layer in network.modules():
        change = getattr(layer, "change", None)
        if isinstance(change, nn.Module):
            _, raw = raw_weight(layer)
            used = used_weight(layer)
            raw.mul_(torch.where(used == 0, 0.0, change(used) / used))
            layer.__class__ = type(layer).__bases__[1]
            del layer.change


@torch.no_grad()
def used_weight(layer: nn.Module) -> Tensor:
    """The weight a layer computes with before any change: W, or W / sigma as it is now; nothing moves."""
    if not isinstance(layer, SpectralLayer):
        return raw_weight(layer)[1].detach()
    was_training, layer.training = layer.training, False
    used = SpectralLayer.effective_weight(layer)
    layer.training = was_training
    return used


@cache
def _changed(kind: type[nn.Module]) -> type[nn.Module]:
    """The class of layers of a kind whose weight is changed; the kind is the second of its two bases."""
    if issubclass(kind, SpectralLayer):
        return cast("type[nn.Module]", type(kind.__name__, (_Spectral, kind), {}))
    way = _Convolution if issubclass(kind, nn.Conv2d) else _Linear
    return cast("type[nn.Module]", type(kind.__name__, (way, kind), {}))


if TYPE_CHECKING:

    class _Layer(nn.Module):
        change: nn.Module
        weight: Tensor
        bias: Tensor | None

        def _conv_forward(self, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor: ...
else:
    _Layer = object


class _Convolution(_Layer):
    def forward(self, images: Tensor) -> Tensor:
        return self._conv_forward(images, self.change(self.weight), self.bias)


class _Linear(_Layer):
    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.change(self.weight), self.bias)


class _Spectral(_Layer):
    def effective_weight(self) -> Tensor:
        changed: Tensor = self.change(SpectralLayer.effective_weight(cast("SpectralLayer", self)))
        return changed
