"""Random crops and horizontal flips of pixels, the usual augmentation of classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ticketlab.augment.augmenter import Augmenter
from ticketlab.augment.shift import shifted, shifted_maps

if TYPE_CHECKING:
    from torch import Tensor

    from ticketlab.randomness import Key
    from ticketlab.spec.augment import Crop, Flip


def crop(options: Crop) -> Augmenter:
    """Pad with black by `padding` pixels, then cut out a window of the old size at one of (2 padding + 1)^2 places."""

    def places(images: Tensor, key: Key) -> Tensor:
        drawn = torch.randint(
            -options.padding, options.padding + 1, (2, len(images)), generator=key.generator(), device="cpu"
        )
        return drawn.to(images.device)

    def apply(images: Tensor, key: Key) -> Tensor:
        return shifted(images, *places(images, key))

    def maps(labels: Tensor, key: Key) -> Tensor:
        return shifted_maps(labels, *places(labels, key))

    return Augmenter(apply, on="pixels", maps=maps)


def flip(_: Flip) -> Augmenter:
    """Mirror each image left to right with probability one half."""

    def apply(images: Tensor, key: Key) -> Tensor:
        heads = torch.randint(0, 2, (len(images), 1, 1, 1), generator=key.generator(), dtype=torch.bool, device="cpu")
        return torch.where(heads.to(images.device), images.flip(3), images)

    def maps(labels: Tensor, key: Key) -> Tensor:
        return apply(labels.unsqueeze(1), key).squeeze(1)

    return Augmenter(apply, on="pixels", maps=maps)
