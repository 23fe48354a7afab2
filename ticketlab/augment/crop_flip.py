"""Random crops and horizontal flips of pixels, the usual augmentation of classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ticketlab.augment.augmenter import Augmenter
from ticketlab.augment.shift import shifted

if TYPE_CHECKING:
    from torch import Tensor

    from ticketlab.randomness import Key
    from ticketlab.spec.augment import Crop, Flip


def crop(options: Crop) -> Augmenter:
    """Pad with black by `padding` pixels, then cut out a window of the old size at one of (2 padding + 1)^2 places."""

    def apply(images: Tensor, key: Key) -> Tensor:
        generator = key.generator()
        places = torch.randint(
            -options.padding, options.padding + 1, (2, len(images)), generator=generator, device="cpu"
        )
        rows, columns = places.to(images.device)
        return shifted(images, rows, columns)

    return Augmenter(apply, on="pixels")


def flip(_: Flip) -> Augmenter:
    """Mirror each image left to right with probability one half."""

    def apply(images: Tensor, key: Key) -> Tensor:
        heads = torch.randint(0, 2, (len(images), 1, 1, 1), generator=key.generator(), dtype=torch.bool, device="cpu")
        return torch.where(heads.to(images.device), images.flip(3), images)

    return Augmenter(apply, on="pixels")
