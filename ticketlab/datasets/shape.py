"""The shape of an image set, as the networks need to know it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageShape:
    """Channels, side in pixels (images are square), and number of classes."""

    channels: int
    size: int
    classes: int
