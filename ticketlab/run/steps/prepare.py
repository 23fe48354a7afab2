"""A training made ready: networks, masks, batches on the device, augmentations, keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from torch import nn

from ticketlab.datasets.pack import Split
from ticketlab.made import made
from ticketlab.plan.inputs import PREPARED
from ticketlab.run.steps.images import scaling_of, shown
from ticketlab.run.steps.measure_samples import extractor_of
from ticketlab.run.steps.networks import trained_weights
from ticketlab.run.steps.packs import planned_split
from ticketlab.training.setup import BatchStream, Setup, Training, Wearing

if TYPE_CHECKING:
    from ticketlab.plan.steps import Images
    from ticketlab.randomness import Key
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.train import Objective


def training_images(images: Images, place: Workplace, device: Device) -> Split:
    """The uint8 images and the labels that are trained on, on the device: the subset that `place` has, else all."""
    split = planned_split(images.dataset, images.digest, "train", place)
    subset = place.input("subset", "indices.safetensors")
    if subset is not None:
        indices = trained_weights(subset)["indices"]
        split = Split(split.images[indices], split.labels[indices], split.labelling)
    return shown(split, images, device)


def training_of(
    objective: Objective,
    networks: Mapping[str, nn.Module],
    wearing: Wearing,
    batches: BatchStream,
    key: Key,
    images: Images,
    place: Workplace,
    device: Device,
) -> Training:
    """The objective's training of networks on the device, in the way they wear their ticket, on `batches` of `images`."""
    scaling = scaling_of(images, images.scaling, place)
    prepared = place.input("prepared", PREPARED)
    lens = objective.looks_through
    setup = Setup(
        objective=objective,
        networks=networks,
        wearing=wearing,
        batches=batches,
        scale=lambda pixels: device.images(scaling(pixels)),
        augmenters=[made(options.made_by)(options) for options in objective.augment],
        key=key,
        precision=device.precision,
        compile=device.compiled,
        prepared={} if prepared is None else trained_weights(prepared),
        extractor=None if lens is None else extractor_of(lens, images, place, device, "looks_through").look,
    )
    return cast("Training", made(objective.made_by)(setup))
