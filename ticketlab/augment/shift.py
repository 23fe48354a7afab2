"""Moving every image of a batch by its own whole number of pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ticketlab.label_map import UNLABELLED


def shifted(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images (B, C, H, W) with out[b, :, i, j] = images[b, :, i + rows[b], j + columns[b]], and 0 outside.

    `rows` and `columns` hold B whole numbers of any size, on the images' device. Any number type; differentiable.
    """
    moved: Tensor = _Shift.apply(images, rows, columns)
    return moved


def shifted_maps(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Label maps uint8 (B, H, W) shifted as `shifted` does images, `UNLABELLED` outside."""
    return UNLABELLED - shifted(UNLABELLED - maps.unsqueeze(1), rows, columns).squeeze(1)


class _Shift(torch.autograd.Function):
    """A shift, whose gradient is the shift back: a gather both ways, where autograd would scatter without an order."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The images, shifted; what lies outside is 0."""
        ctx.save_for_backward(rows, columns)
        batch, channels, height, width = images.shape
        i, inside_i = _source(rows, height)
        j, inside_j = _source(columns, width)
        places = (i.unsqueeze(2) * width + j.unsqueeze(1)).view(batch, 1, height * width)
        moved = images.flatten(2).gather(2, places.expand(-1, channels, -1)).view(images.shape)
        inside = inside_i.unsqueeze(2) & inside_j.unsqueeze(1)
        return moved.masked_fill_(~inside.unsqueeze(1), 0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        rows, columns = ctx.saved_tensors
        return shifted(gradients[0], -rows, -columns), None, None


def _source(shift: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where each of `size` places comes from, clamped into the image, and whether it lies inside; both (B, size)."""
    place = torch.arange(size, device=shift.device) + shift.view(-1, 1)
    return place.clamp(0, size - 1), (place >= 0) & (place < size)
