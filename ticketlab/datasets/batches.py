"""Batches without a loader: images lie on the device as bytes, and any batch of the stream is found by its number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ticketlab.datasets.order import Order
from ticketlab.errors import DataError
from ticketlab.randomness import Key

_CHUNK_PIXELS = 1 << 24


def prepare(images: Tensor, size: int | None, fit: Literal["resize", "pad"], device: torch.device | str) -> Tensor:
    """Images uint8 (N, C, S, S) in the side `size` pixels (None: as they are), on `device`.

    resize: bilinear with antialiasing, rounded to the nearest byte; pad: a black border around the image, the odd pixel
    right and below. The work is done on the CPU, so every device gets the same bytes. DataError for padding to shrink.
    """
    side = images.shape[-1]
    if size is None or size == side:
        return images.to(device)
    if fit == "pad":
        return bordered(images, size, 0).to(device)
    chunk = max(1, _CHUNK_PIXELS // (images.shape[1] * max(size, side) ** 2))
    return torch.cat([_resized(part, size) for part in torch.split(images, chunk)]).to(device)


def bordered(images: Tensor, size: int, value: int) -> Tensor:
    """Images or maps (..., S, S) in the middle of `size` x `size` pixels of `value`; DataError if they are larger."""
    side = images.shape[-1]
    if size < side:
        raise DataError(
            f"images of {side} pixels cannot be padded to {size}", mend="set data.fit to resize, or data.size higher"
        )
    before = (size - side) // 2
    after = size - side - before
    return F.pad(images, (before, after, before, after), value=value)


def _resized(images: Tensor, size: int) -> Tensor:
    """Bytes resized as floating-point numbers and rounded back."""
    exact = F.interpolate(
        images.to(torch.float32), size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return exact.round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Scaling:
    """A pixel range: byte / 255 times `gain` plus `offset`, each one number or one per channel."""

    gain: tuple[float, ...]
    offset: tuple[float, ...]

    @classmethod
    def of(
        cls, kind: Literal["symmetric", "standard", "unit"], mean: tuple[float, ...], std: tuple[float, ...]
    ) -> Scaling:
        """symmetric: [-1, 1]; unit: [0, 1]; standard: zero mean and unit variance per channel, given those in [0, 1].

        DataError if a channel is constant and `standard` is asked.
        """
        if kind == "symmetric":
            return cls((2.0,), (-1.0,))
        if kind == "unit":
            return cls((1.0,), (0.0,))
        if min(std) <= 0:
            raise DataError(
                "a colour channel is constant and cannot be scaled to unit variance", mend="use scaling: unit"
            )
        return cls(
            tuple(1 / deviation for deviation in std),
            tuple(-average / deviation for average, deviation in zip(mean, std, strict=True)),
        )

    def __call__(self, images: Tensor) -> Tensor:
        """Scaled float32 images (N, C, H, W) from bytes, or from numbers in the range of bytes."""
        unit = images.to(torch.float32, copy=True).div_(255)
        return unit.mul_(_channels(self.gain, images.device)).add_(_channels(self.offset, images.device))


@cache
def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """One value per channel, shaped to meet images."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)


class Batches:
    """An endless stream of batches out of images that lie on one device, in the `Order` of their key.

    `images` are uint8 (N, C, H, W), `labels` (N, ...) of any kind.
    """

    def __init__(self, images: Tensor, labels: Tensor, batch: int, key: Key) -> None:
        assert len(images) == len(labels) > 0
        self.images = images
        self.labels = labels
        self._order = Order(len(labels), batch, key, images.device)

    def at(self, number: int) -> tuple[Tensor, Tensor]:
        """Bytes (B, C, H, W) and labels (B, ...) of one batch; depends on nothing but key and number."""
        chosen = self._order.indices(number)
        return self.images.index_select(0, chosen), self.labels.index_select(0, chosen)
