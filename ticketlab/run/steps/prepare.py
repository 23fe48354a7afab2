"""A training made ready: networks, masks, batches on the device, augmentations, keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from torch import nn

from ticketlab.made import made
from ticketlab.plan.inputs import PREPARED
from ticketlab.run.steps.extractor import extractor_of
from ticketlab.run.steps.images import real_images, scaling_of
from ticketlab.run.steps.networks import trained_weights
from ticketlab.training.setup import BatchStream, Setup, Training, Wearing

if TYPE_CHECKING:
    from ticketlab.augment.augmenter import Augmenter
    from ticketlab.datasets.image_set import ImageSet
    from ticketlab.plan.steps import Images
    from ticketlab.randomness import Key
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.train import Objective


def training_images(images: Images, place: Workplace, device: Device) -> ImageSet:
    """The images that are trained on, on the device: the subset that `place` has, else all."""
    subset = place.input("subset", "indices.safetensors")
    kept = None if subset is None else trained_weights(subset)["indices"]
    return real_images(images, "train", place, device, kept)


def training_of(
    objective: Objective,
    networks: Mapping[str, nn.Module],
    wearing: Wearing,
    batches: BatchStream,
    augmenters: Sequence[Augmenter],
    key: Key,
    images: Images,
    place: Workplace,
    device: Device,
) -> Training:
    """The objective's training of networks on the device, in the way they wear their ticket, on `batches` of `images`.

    `augmenters` are those that are still to be applied to them.
    """
    scaling = scaling_of(images, images.scaling, place)
    prepared = place.input("prepared", PREPARED)
    lens = objective.looks_through
    setup = Setup(
        objective=objective,
        networks=networks,
        wearing=wearing,
        batches=batches,
        scale=lambda pixels: device.images(scaling(pixels)),
        augmenters=augmenters,
        key=key,
        precision=device.precision,
        compile=device.compiled,
        prepared={} if prepared is None else trained_weights(prepared),
        extractor=None if lens is None else extractor_of(lens, images, place, device, "looks_through").look,
    )
    return cast("Training", made(objective.made_by)(setup))
