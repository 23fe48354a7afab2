"""The real images of a split, and the pixel range of a network's inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketlab.datasets.batches import Scaling
from ticketlab.datasets.chosen import Chosen
from ticketlab.datasets.shape import ImageShape
from ticketlab.run.steps.packs import planned_images, planned_manifest

if TYPE_CHECKING:
    from torch import Tensor

    from ticketlab.datasets.image_set import ImageSet
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


def real_images(
    images: Images, split: SplitName, place: Workplace, device: Device, kept: Tensor | None = None
) -> ImageSet:
    """The images of a split, all or those that are `kept`, as the network sees them, on the device."""
    return planned_images(
        images.dataset,
        images.digest,
        split,
        place,
        device.torch,
        size=images.size,
        fit=images.fit,
        chosen=Chosen(images.chosen, kept),
        workers=device.workers,
    )
