"""Images of a pack, held on the device as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ticketlab.datasets.batches import Batches, prepare
from ticketlab.datasets.image_set import Augmentation, ImageSet
from ticketlab.datasets.pack import Split, read_split

if TYPE_CHECKING:
    from ticketlab.datasets.chosen import Chosen
    from ticketlab.datasets.manifest import Manifest, SplitName
    from ticketlab.randomness import Key


def opened(
    project: Path,
    manifest: Manifest,
    split: SplitName,
    size: int | None,
    fit: Literal["resize", "pad"],
    chosen: Chosen,
    device: torch.device,
    workers: int,
) -> Held:
    """The images of a pack, read whole and checked; see `ImageSet`. DataError as from `read_split` and `prepare`."""
    found = read_split(project, manifest.name, split, manifest=manifest)
    numbers = chosen.numbers(found.labels)
    if numbers is not None:
        found = Split(found.images[numbers], found.labels[numbers], found.labelling)
    labels = found.labelling.fitted(chosen.named(found.labels), size, fit).to(device)
    return Held(Split(prepare(found.images, size, fit, device), labels, found.labelling))


class Held(ImageSet):
    """Images and labels that lie on one device."""

    def __init__(self, split: Split) -> None:
        self.images = split.images
        self.labels = split.labels
        self.labelling = split.labelling

    def take(self, indices: Tensor) -> Tensor:
        """The images at some indices."""
        return self.images[indices.to(self.images.device)]

    def parts(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images and labels in order."""
        yield from zip(torch.split(self.images, batch), torch.split(self.labels, batch), strict=True)

    @contextmanager
    def stream(
        self, batch: int, key: Key, augmenters: Sequence[Augmentation]
    ) -> Iterator[tuple[Batches, Sequence[Augmentation]]]:
        """Batches out of the images; every augmenter is left."""
        yield Batches(self.images, self.labels, batch, key), augmenters
