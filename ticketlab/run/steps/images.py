"""The real images of a split, and the pixel range of a network's inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketlab.datasets.batches import Scaling, prepare
from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.pack import read_split
from ticketlab.datasets.shape import ImageShape

if TYPE_CHECKING:
    from torch import Tensor

    from ticketlab.plan.steps import Images
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.task import Scaling as Range
    from ticketlab.spec.task import Split

BATCH = 250
"""Images per forward pass where nothing is learned."""


def shape_of(images: Images) -> ImageShape:
    """The shape that networks are built for."""
    return ImageShape(images.channels, images.size, images.classes)


def scaling_of(images: Images, kind: Range, place: Workplace) -> Scaling:
    """The pixel range of a network's inputs, from the dataset's own moments where it needs them."""
    manifest = read_manifest(place.home(images.dataset), images.dataset)
    return Scaling.of(kind, manifest.mean, manifest.std)


def real_images(images: Images, split: Split, place: Workplace, device: Device) -> tuple[Tensor, Tensor]:
    """The uint8 images and the labels of a whole split, prepared, on the device."""
    found = read_split(place.home(images.dataset), images.dataset, split)
    return prepare(found.images, images.size, images.fit, device.torch), found.labels.to(device.torch)
