"""The real images of a split, and the pixel range of a network's inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketlab.datasets.batches import Scaling, prepare
from ticketlab.datasets.pack import Split
from ticketlab.datasets.shape import ImageShape
from ticketlab.run.steps.packs import planned_manifest, planned_split

if TYPE_CHECKING:
    from ticketlab.plan.steps import Images
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.task import Scaling as Range
    from ticketlab.spec.task import Split as SplitName

BATCH = 250
"""Images per forward pass where nothing is learned."""


def shape_of(images: Images) -> ImageShape:
    """The shape that networks are built for."""
    return ImageShape(images.channels, images.size, images.classes)


def scaling_of(images: Images, kind: Range, place: Workplace) -> Scaling:
    """The pixel range of a network's inputs, from the dataset's own moments where it needs them."""
    manifest = planned_manifest(images.dataset, images.digest, place)
    return Scaling.of(kind, manifest.mean, manifest.std)


def real_images(images: Images, split: SplitName, place: Workplace, device: Device) -> Split:
    """The uint8 images and the labels of a whole split, prepared, on the device."""
    return shown(planned_split(images.dataset, images.digest, split, place), images, device)


def shown(split: Split, images: Images, device: Device) -> Split:
    """A split as the network sees it: images and labels of the size that `images` says, on the device."""
    pixels = prepare(split.images, images.size, images.fit, device.torch)
    labels = split.labelling.fitted(split.labels, images.size, images.fit).to(device.torch)
    return Split(pixels, labels, split.labelling)
