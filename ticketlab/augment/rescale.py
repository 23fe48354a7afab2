"""Images enlarged or shrunk at random and cut or filled up to their old size: the usual augmentation of segmenters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ticketlab.augment.augmenter import Augmenter
from ticketlab.label_map import UNLABELLED

if TYPE_CHECKING:
    from ticketlab.randomness import Key
    from ticketlab.spec.augment import Rescale


def build(options: Rescale) -> Augmenter:
    """Each image `options.factor` times as large, then a window of its old size at a random place, black around it.

    Source: Chen et al. 2017, arXiv 1706.05587, section 4.1.
    """

    def drawn(images: Tensor, key: Key) -> tuple[Tensor, Tensor]:
        sides, places = windows(images.shape[-2:], len(images), key, options.factor)
        return sides.to(images.device), places.to(images.device)

    def apply(images: Tensor, key: Key) -> Tensor:
        return rescaled(images, *drawn(images, key))

    def maps(labels: Tensor, key: Key) -> Tensor:
        return rescaled_maps(labels, *drawn(labels, key))

    return Augmenter(apply, on="pixels", maps=maps)


def windows(shape: torch.Size, batch: int, key: Key, factor: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Heights and widths of `batch` images of `shape` (H, W) once rescaled; top and left of a window H x W; (B, 2) each.

    The factor is uniform in `factor`, and so is the place among those where window and image overlap the most: inside
    an image that grew, around one that shrank (then top and left are not above 0). All draws of image b are one row of
    one generator's numbers.
    """
    uniform = torch.rand((batch, 3), generator=key.generator(), dtype=torch.float64, device="cpu")
    old = torch.tensor(shape, device="cpu")
    grown = (old * (factor[0] + (factor[1] - factor[0]) * uniform[:, :1])).round().clamp_min(1).long()
    room = grown - old
    return grown, room.sign() * ((room.abs() + 1) * uniform[:, 1:]).floor().long()


def rescaled(images: Tensor, sides: Tensor, places: Tensor) -> Tensor:
    """Windows of images (B, C, H, W) brought to `sides`, bilinear; 0 around them; bytes are rounded to bytes.

    An image that shrinks is averaged over as many pixels as become one, and does not alias. Rows and columns are
    weighted by matrices: the same products in the same order on every device.
    """
    down, across = (_weights(sides[:, axis], places[:, axis], images.shape[2 + axis]) for axis in (0, 1))
    found = down.unsqueeze(1) @ images.to(torch.float32) @ across.unsqueeze(1).mT
    if images.dtype == torch.uint8:
        return found.round_().clamp_(0, 255).to(torch.uint8)
    return found.to(images.dtype)


def rescaled_maps(maps: Tensor, sides: Tensor, places: Tensor) -> Tensor:
    """Windows of label maps (B, H, W) brought to `sides`, each pixel with the nearest class; `UNLABELLED` around them."""
    (rows, seen), (columns, seen_across) = (
        _nearest(sides[:, axis], places[:, axis], maps.shape[1 + axis]) for axis in (0, 1)
    )
    found = maps.gather(1, rows.unsqueeze(2).expand(-1, -1, maps.shape[2]))
    found = found.gather(2, columns.unsqueeze(1).expand(-1, maps.shape[1], -1))
    return found.masked_fill(~(seen.unsqueeze(2) & seen_across.unsqueeze(1)), UNLABELLED)


def _weights(new: Tensor, place: Tensor, side: int) -> Tensor:
    """How much each of `side` old pixels counts for each of the window, float32 (B, side, side); 0 outside the image.

    A triangle around the middle of the new pixel, as wide as two old pixels or two new ones, whichever is more.
    """
    spot, inside = _inside(new, place, side)
    step = (side / new.double()).view(-1, 1, 1)
    middle = (spot.double().unsqueeze(2) + 0.5) * step
    old = torch.arange(side, device=new.device, dtype=torch.float64) + 0.5
    triangle = (1 - (old - middle).abs() / step.clamp_min(1)).clamp_min(0)
    return (triangle / triangle.sum(2, keepdim=True) * inside.unsqueeze(2)).float()


def _nearest(new: Tensor, place: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Which of `side` old pixels each of the window's is nearest to, int64, and whether it is in the image; (B, side)."""
    spot, inside = _inside(new, place, side)
    return (2 * spot + 1) * side // (2 * new.unsqueeze(1)), inside


def _inside(new: Tensor, place: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Which of `new` pixels each of the window's is, clamped to the image, and whether it is one of them; (B, side)."""
    spot = torch.arange(side, device=new.device) + place.unsqueeze(1)
    last = (new - 1).unsqueeze(1)
    return torch.minimum(spot.clamp_min(0), last), (spot >= 0) & (spot <= last)
