"""What every augmentation is, once built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from ticketlab.randomness import Key


@dataclass(frozen=True)
class Augmenter:
    """A random change of a batch of images.

    `apply(images, key)`: (B, C, H, W) -> the same shape, type and device; all draws are addressed by `key`, each image
    has its own. `on` says to what it is applied: `pixels`, uint8 before scaling, or `scaled`, floats as networks see
    them (and then gradients flow through).
    """

    apply: Callable[[Tensor, Key], Tensor]
    on: Literal["pixels", "scaled"]
