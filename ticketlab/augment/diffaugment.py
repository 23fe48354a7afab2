"""Differentiable augmentation: colour, translation, cutout.

Source: Zhao et al. 2020, arXiv 2006.10738. Images (B, C, H, W) are scaled, usually to [-1, 1], and not clamped. Each
operation is a pure function of the images and of explicit draws, one per image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ticketlab.augment.augmenter import Augmenter
from ticketlab.augment.shift import shifted, shifted_maps

if TYPE_CHECKING:
    from ticketlab.randomness import Key
    from ticketlab.spec.augment import DiffAugment

Operation = Literal["color", "translation", "cutout"]

TRANSLATION_SHARE = 0.125
CUTOUT_SHARE = 0.5


def build(options: DiffAugment) -> Augmenter:
    """The operations of `options.policy`, in that order.

    All draws of a call come from one generator, in the order brightness, saturation, contrast; translation rows,
    columns; cutout rows, columns; operation by operation. A translation moves label maps; a pixel that is recoloured or
    cut out keeps its label.
    """

    def apply(images: Tensor, key: Key) -> Tensor:
        generator = key.generator()
        for operation in options.policy:
            draws = [drawn.to(images.device) for drawn in draw(operation, images.shape, generator)]
            images = augmented(images, operation, draws)
        return images

    def maps(labels: Tensor, key: Key) -> Tensor:
        generator = key.generator()
        for operation in options.policy:
            draws = draw(operation, labels.unsqueeze(1).shape, generator)
            if operation == "translation":
                rows, columns = draws
                labels = shifted_maps(labels, rows.to(labels.device), columns.to(labels.device))
        return labels

    return Augmenter(apply, on="scaled", maps=maps)


def draw(operation: Operation, shape: torch.Size, generator: torch.Generator) -> list[Tensor]:
    """The draws of one operation for images of `shape`, in the documented order, on the CPU.

    color: three of U[0, 1), (B, 1, 1, 1), float32. translation and cutout: two of whole numbers, (B, 1, 1), int64.
    """
    batch, _, *sides = shape
    if operation == "color":
        return [torch.rand((batch, 1, 1, 1), generator=generator, dtype=torch.float32, device="cpu") for _ in range(3)]
    between = _furthest_shift if operation == "translation" else _box_centres
    return [torch.randint(*between(side), (batch, 1, 1), generator=generator, device="cpu") for side in sides]


def augmented(images: Tensor, operation: Operation, draws: list[Tensor]) -> Tensor:
    """One operation with the draws given."""
    if operation == "color":
        bright, saturated, contrasted = draws
        return contrast(saturation(brightness(images, bright), saturated), contrasted)
    rows, columns = draws
    return translation(images, rows, columns) if operation == "translation" else cutout(images, rows, columns)


def brightness(images: Tensor, u: Tensor) -> Tensor:
    """The images plus u - 1/2; u (B, 1, 1, 1) in [0, 1)."""
    return images + (u - 0.5).to(images.dtype)


def saturation(images: Tensor, u: Tensor) -> Tensor:
    """Distances from each pixel's mean over channels, times 2u; u (B, 1, 1, 1) in [0, 1)."""
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * (2 * u).to(images.dtype)


def contrast(images: Tensor, u: Tensor) -> Tensor:
    """Distances from each image's mean, times u + 1/2; u (B, 1, 1, 1) in [0, 1)."""
    grey = images.mean((1, 2, 3), keepdim=True)
    return grey + (images - grey) * (u + 0.5).to(images.dtype)


def translation(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Out[i, j] = x[i + row, j + column], 0 outside; rows and columns (B, 1, 1), drawn up to an eighth of a side."""
    return shifted(images, rows, columns)


def cutout(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """A box of half the height and width set to 0, cut off at the borders; rows and columns (B, 1, 1) of its centre."""
    height, width = images.shape[2:]
    box = _covered(rows, height).unsqueeze(2) & _covered(columns, width).unsqueeze(1)
    return images.masked_fill(box.unsqueeze(1), 0)


def _furthest_shift(side: int) -> tuple[int, int]:
    """Lowest shift, and one above the highest."""
    furthest = int(side * TRANSLATION_SHARE + 0.5)
    return -furthest, furthest + 1


def _box_centres(side: int) -> tuple[int, int]:
    """Lowest centre, and one above the highest: a box of even length may be centred one past the end."""
    return 0, side + 1 - _box_length(side) % 2


def _box_length(side: int) -> int:
    return int(side * CUTOUT_SHARE + 0.5)


def _covered(centres: Tensor, side: int) -> Tensor:
    """Which places of a side the box covers, (B, side)."""
    length = _box_length(side)
    first = centres.view(-1, 1) - length // 2
    place = torch.arange(side, device=centres.device)
    return (place >= first) & (place < first + length)
