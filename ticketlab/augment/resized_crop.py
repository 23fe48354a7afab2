"""Random windows of images, brought to the size of the whole: the usual augmentation of ImageNet classifiers."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ticketlab.augment.augmenter import Augmenter

if TYPE_CHECKING:
    from ticketlab.randomness import Key
    from ticketlab.spec.augment import ResizedCrop

ATTEMPTS = 10


def build(options: ResizedCrop) -> Augmenter:
    """A window of `options.scale` of the area, its width `options.ratio` of its height, bilinear, per image.

    Source: Szegedy et al. 2015, arXiv 1409.4842; attempts and what follows them as in torchvision's RandomResizedCrop.
    """
    window = partial(windows, scale=options.scale, ratio=options.ratio)

    def drawn(images: Tensor, key: Key) -> Tensor:
        sides = torch.tensor(images.shape[-2:]).expand(len(images), 2)
        return window(sides, key).to(images.device)

    def apply(images: Tensor, key: Key) -> Tensor:
        return enlarged(images, drawn(images, key))

    def maps(labels: Tensor, key: Key) -> Tensor:
        return enlarged_maps(labels, drawn(labels, key))

    return Augmenter(apply, on="pixels", maps=maps, window=window)


def windows(sides: Tensor, key: Key, *, scale: tuple[float, float], ratio: tuple[float, float]) -> Tensor:
    """Top, left, height, width (B, 4), int64, of one window in each image of heights and widths `sides` (B, 2).

    The first of ten attempts that lies inside: area uniform in `scale`, log of the ratio uniform. If none does, the
    largest window in the middle whose ratio is in range. All draws of image b are one row of one generator's numbers.
    """
    uniform = torch.rand((len(sides), ATTEMPTS, 4), generator=key.generator(), dtype=torch.float64)
    heights, widths = sides.double().unsqueeze(1).unbind(2)
    areas = heights * widths * (scale[0] + (scale[1] - scale[0]) * uniform[..., 0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    shapes = torch.exp(low + (high - low) * uniform[..., 1])
    high_, wide = (areas / shapes).sqrt().round(), (areas * shapes).sqrt().round()
    inside = (high_ >= 1) & (high_ <= heights) & (wide >= 1) & (wide <= widths)
    top = ((heights - high_ + 1) * uniform[..., 2]).floor()
    left = ((widths - wide + 1) * uniform[..., 3]).floor()
    attempts = torch.stack((top, left, high_, wide), 2).long()
    first = inside.to(torch.uint8).argmax(1)
    found = attempts[torch.arange(len(sides)), first]
    return torch.where(inside.any(1, keepdim=True), found, _middle(sides, ratio))


def _middle(sides: Tensor, ratio: tuple[float, float]) -> Tensor:
    """The largest window in the middle whose ratio of width to height is in range."""
    height, width = sides.double().unbind(1)
    wide = torch.minimum(width, (height * ratio[1]).round()).clamp_min(1)
    high = torch.minimum(height, (width / ratio[0]).round()).clamp_min(1)
    return torch.stack(((height - high).div(2).floor(), (width - wide).div(2).floor(), high, wide), 1).long()


def enlarged(images: Tensor, cut: Tensor) -> Tensor:
    """Windows (B, 4) of images (B, C, H, W), each brought to H x W, bilinear; bytes are rounded to bytes.

    A window is never larger than its image, so nothing has to be averaged. Rows and columns are weighted by matrices:
    the same products in the same order on every device, and gradients without scattering.
    """
    top, left, height, width = cut.unbind(1)
    down, across = _weights(top, height, images.shape[2]), _weights(left, width, images.shape[3])
    found = down.unsqueeze(1) @ images.to(torch.float32) @ across.unsqueeze(1).mT
    if images.dtype == torch.uint8:
        return found.round_().clamp_(0, 255).to(torch.uint8)
    return found.to(images.dtype)


def enlarged_maps(maps: Tensor, cut: Tensor) -> Tensor:
    """Windows (B, 4) of label maps (B, H, W), each pixel of H x W with the class of the nearest in its window."""
    top, left, height, width = cut.unbind(1)
    rows, columns = _nearest(top, height, maps.shape[1]), _nearest(left, width, maps.shape[2])
    found = maps.gather(1, rows.unsqueeze(2).expand(-1, -1, maps.shape[2]))
    return found.gather(2, columns.unsqueeze(1).expand(-1, maps.shape[1], -1))


def _weights(begin: Tensor, length: Tensor, side: int) -> Tensor:
    """How much each of `side` old places counts for each new one, float32 (B, side, side), pixel centres aligned."""
    last = (length - 1).unsqueeze(1).double()
    place = torch.arange(side, device=begin.device)
    source = ((place + 0.5) * length.unsqueeze(1) / side - 0.5).clamp_min(0)
    source = torch.minimum(source, last)
    below = source.floor()
    above = torch.minimum(below + 1, last)
    share = (source - below).unsqueeze(2)
    first, second = ((begin.unsqueeze(1) + one.long()).unsqueeze(2) == place for one in (below, above))
    return (first * (1 - share) + second * share).float()


def _nearest(begin: Tensor, length: Tensor, side: int) -> Tensor:
    """Which old place each of `side` new ones is nearest to, int64 (B, side)."""
    place = 2 * torch.arange(side, device=begin.device) + 1
    return begin.unsqueeze(1) + place * length.unsqueeze(1) // (2 * side)
