"""What every augmentation is, once built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from ticketlab.randomness import Key


def unmoved(maps: Tensor, key: Key) -> Tensor:
    """What becomes of label maps where no pixel changes its place: nothing."""
    return maps


@dataclass(frozen=True)
class Augmenter:
    """A random change of a batch of images.

    `apply(images, key)`: (B, C, H, W) -> the same shape, type and device; all draws are addressed by `key`, each image
    has its own. `on` says to what it is applied: `pixels`, uint8 before scaling, or `scaled`, floats as networks see
    them (and then gradients flow through).

    `maps(labels, key)`: label maps uint8 (B, H, W) moved as `apply` with the same key moves their images, with
    `UNLABELLED` where a pixel comes from outside. Whatever moves no pixel leaves them as they are.

    `window(sides, key)` is there for what cuts a window out of an image and nothing else: from heights and widths
    (B, 2) to top, left, height, width, int64 (B, 4). Whoever opens pictures of any shape cuts it out of them instead.
    """

    apply: Callable[[Tensor, Key], Tensor]
    on: Literal["pixels", "scaled"]
    maps: Callable[[Tensor, Key], Tensor] = unmoved
    window: Callable[[Tensor, Key], Tensor] | None = None
