"""A training made ready: networks, masks, batches on the device, augmentations, keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from ticketlab.datasets.batches import Batches, prepare
from ticketlab.datasets.pack import read_split
from ticketlab.run.steps.measure import scaling_of
from ticketlab.run.steps.networks import trained_weights
from ticketlab.training.setup import Masking, Setup, Training

if TYPE_CHECKING:
    from ticketlab.plan.steps import Images
    from ticketlab.randomness import Key
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.train import Objective


@dataclass(frozen=True)
class Data:
    """What is trained on: images as the network sees them, the objective that says how many a batch has, their order."""

    images: Images
    objective: Objective
    order: Key


def training_of(
    data: Data,
    networks: Mapping[str, nn.Module],
    masks: Mapping[str, Masking],
    key: Key,
    place: Workplace,
    device: Device,
) -> Training:
    """The objective's training of networks that are on the device, on the subset that `place` has, if it has one."""
    scaling = scaling_of(data.images, data.images.scaling, place)
    objective = data.objective
    setup = Setup(
        objective=objective,
        networks=networks,
        masks=masks,
        batches=_batches(data, place, device),
        scale=lambda pixels: device.images(scaling(pixels)),
        augmenters=[made(options.made_by)(options) for options in objective.augment],
        key=key,
        precision=device.precision,
        compile=device.compiled,
    )
    return cast("Training", made(objective.made_by)(setup))


def made(made_by: str) -> Callable[..., Any]:
    """The function that a choice of the spec names as "module:function"."""
    module, _, name = made_by.partition(":")
    return cast("Callable[..., Any]", getattr(import_module(module), name))


def _batches(data: Data, place: Workplace, device: Device) -> Batches:
    split = read_split(place.home(data.images.dataset), data.images.dataset, "train")
    images, labels = split.images, split.labels
    subset = place.input("subset", "indices.safetensors")
    if subset is not None:
        indices = trained_weights(subset)["indices"]
        images, labels = images[indices], labels[indices]
    pixels = prepare(images, data.images.size, data.images.fit, device.torch)
    return Batches(pixels, labels.to(device.torch), data.objective.batch, data.order)
