"""Keeping pruned weights at zero while a live network trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ticketlab.tickets.mask import Mask


class MaskedWeights:
    """Live tensors (parameters, or their moving averages) held to a mask, in place.

    `impose()` after every optimiser step, and once before the first, keeps pruned weights exactly 0 whatever the
    optimiser remembers (momentum, moments from before the mask, weight decay). `mask_gradients()` between backward and
    step keeps pruned entries out of the optimiser's state and of gradient norms. Both are one call for all layers, on
    factors kept beside each tensor in its own type and memory format; layers that the mask leaves dense cost nothing.
    A raw spectrally normalised weight is held before its division by sigma. Values that are not finite stay so:
    divergence is not hidden. ValueError if a layer of the mask has no tensor, or one of another shape.
    """

    def __init__(self, tensors: Mapping[str, Tensor], mask: Mask) -> None:
        self._held: list[Tensor] = []
        self._factors: list[Tensor] = []
        for name, kept in mask.items():
            if name not in tensors or tensors[name].shape != kept.shape:
                raise ValueError(f"{name}: no tensor of shape {tuple(kept.shape)} to hold to the mask")
            if not kept.all():
                self._held.append(tensors[name])
                self._factors.append(torch.empty_like(tensors[name], requires_grad=False).copy_(kept))

    @torch.no_grad()
    def impose(self) -> None:
        """Multiply every held tensor by its mask."""
        if self._held:
            torch._foreach_mul_(self._held, self._factors)

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Multiply the gradient of every held tensor by its mask; tensors without a gradient are passed over."""
        live = [
            (held.grad, factor) for held, factor in zip(self._held, self._factors, strict=True) if held.grad is not None
        ]
        if live:
            gradients, factors = zip(*live, strict=True)
            torch._foreach_mul_(gradients, factors)
