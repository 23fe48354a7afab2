"""Random changes of colour: brightness, contrast, saturation, hue, and none at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ticketlab.augment.augmenter import Augmenter

if TYPE_CHECKING:
    from ticketlab.randomness import Key
    from ticketlab.spec.augment import Grayscale, Jitter

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601: how bright red, green and blue are."""

Change = Callable[[Tensor, Tensor], Tensor]
"""From images in [0, 1] and one number per image (B, 1, 1, 1) to images in [0, 1]."""


def jitter(options: Jitter) -> Augmenter:
    """The four changes with a factor or turn per image, in an order that all images of a batch share."""
    changes: tuple[tuple[Change, float, float], ...] = (
        (brightness, 1, options.brightness),
        (contrast, 1, options.contrast),
        (saturation, 1, options.saturation),
        (hue, 0, options.hue),
    )

    def apply(images: Tensor, key: Key) -> Tensor:
        generator = key.generator()
        order = torch.randperm(len(changes), generator=generator, device="cpu").tolist()
        uniform = torch.rand((len(changes), len(images), 1, 1, 1), generator=generator, device="cpu").to(images.device)
        unit = images.to(torch.float32) / 255
        for number in order:
            change, middle, furthest = changes[number]
            if furthest:
                unit = change(unit, middle + furthest * (2 * uniform[number] - 1))
        return _as_before(unit, images)

    return Augmenter(apply, on="pixels")


def grayscale(options: Grayscale) -> Augmenter:
    """Every channel becomes the brightness of its pixel, in each image with probability `options.chance`."""

    def apply(images: Tensor, key: Key) -> Tensor:
        uniform = torch.rand((len(images), 1, 1, 1), generator=key.generator(), device="cpu").to(images.device)
        unit = images.to(torch.float32) / 255
        return _as_before(torch.where(uniform < options.chance, _gray(unit).expand_as(unit), unit), images)

    return Augmenter(apply, on="pixels")


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Every value times a factor."""
    return (images * factor).clamp(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Distances from the mean brightness of the image, times a factor."""
    mean = _gray(images).mean((1, 2, 3), keepdim=True)
    return (mean + (images - mean) * factor).clamp(0, 1)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Distances from the brightness of the pixel, times a factor."""
    gray = _gray(images)
    return (gray + (images - gray) * factor).clamp(0, 1)


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """The colour circle turned, 1 being once round; largest and smallest channel stay. Gray images stay as they are.

    Source: Smith 1978, "Color gamut transform pairs" (HSV).
    """
    if images.shape[1] != len(LUMA):
        return images
    largest, smallest = images.amax(1), images.amin(1)
    spread = largest - smallest
    red, green, blue = images.unbind(1)
    safe = torch.where(spread > 0, spread, 1)
    sector = torch.where(
        largest == red,
        (green - blue) / safe,
        torch.where(largest == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    # The value of a channel as a function of how far its own colour is round the circle, in sixths.
    turned = sector / 6 + turn.squeeze(1)
    channels = [(turned * 6 + offset) % 6 for offset in (5, 3, 1)]
    return torch.stack([largest - spread * torch.minimum(k, 4 - k).clamp(0, 1) for k in channels], 1)


def _gray(images: Tensor) -> Tensor:
    """The brightness of each pixel (B, 1, H, W)."""
    if images.shape[1] != len(LUMA):
        return images.mean(1, keepdim=True)
    return (images * torch.tensor(LUMA, device=images.device).view(1, -1, 1, 1)).sum(1, keepdim=True)


def _as_before(unit: Tensor, images: Tensor) -> Tensor:
    """Images in [0, 1] in the range and type of those they were made of."""
    full = unit * 255
    return full.round_().to(torch.uint8) if images.dtype == torch.uint8 else full.to(images.dtype)
