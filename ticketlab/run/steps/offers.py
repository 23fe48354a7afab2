"""What a run offers to a method that scores weights: private networks, and a probe set with its inputs and losses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ticketlab.datasets.subset import draw
from ticketlab.errors import DataError
from ticketlab.models.entering import input_shape
from ticketlab.models.private_copies import PrivateCopies
from ticketlab.randomness import Key
from ticketlab.run.device import Device, arrange
from ticketlab.run.steps.images import shape_of
from ticketlab.run.steps.prepare import training_images, training_of
from ticketlab.tickets.probed import batch_sizes
from ticketlab.tickets.pruner import Offers
from ticketlab.tickets.worn import Wearing
from ticketlab.training import checkpoint

if TYPE_CHECKING:
    from ticketlab.plan.steps import Draw
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.drawing import Probed


@dataclass(frozen=True)
class Probe:
    """The images a method looks at, in batches on the device; the same in every call."""

    images: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Images per batch."""
        return tuple(map(len, self.labels))

    def at(self, number: int) -> tuple[Tensor, Tensor]:
        """One batch."""
        return self.images[number], self.labels[number]


def offers(step: Draw, place: Workplace, networks: Mapping[str, nn.Module]) -> Offers:
    """What the method's `scores_need` names; writes `probe.safetensors`, the probe set's indices, if it has one."""
    device = arrange(step.taken)
    needs = step.ticket.scores_need
    shapes = {name: input_shape(network, shape_of(step.images)) for name, network in networks.items()}
    if not needs:
        return lambda mask: {}
    if not needs & {"inputs", "losses"}:
        copies = _copies(networks, device)
        return lambda mask: {"networks": copies.of_round(mask), "shapes": shapes}
    return _with_probe(step, place, networks, device)


def _with_probe(step: Draw, place: Workplace, networks: Mapping[str, nn.Module], device: Device) -> Offers:
    assert step.objective is not None, "the plan gives the objective to a method that needs batches"
    probe = _probe(step, place, device)
    # Scores are derivatives: whatever precision the training has, they are taken in their own.
    device = replace(device, compute=device.compute.model_copy(update={"precision": "fp32"}))
    shown = {name: device.place(copy.deepcopy(network)) for name, network in networks.items()}
    training = training_of(
        objective=step.objective,
        networks=shown,
        wearing=Wearing(shown),
        batches=probe,
        augmenters=(),
        key=Key(step.seed).of("probe"),
        images=step.images,
        place=place,
        device=device,
    )
    copies = _copies(networks, device)
    return lambda mask: {
        "networks": copies.of_round(mask),
        "batches": probe.sizes,
        "inputs": training.inputs,
        "losses": training.losses,
    }


def _copies(networks: Mapping[str, nn.Module], device: Device) -> PrivateCopies:
    """Copies of the networks on the device, in eval mode."""
    return PrivateCopies({name: device.place(copy.deepcopy(network)).eval() for name, network in networks.items()})


def _probe(step: Draw, place: Workplace, device: Device) -> Probe:
    asked = cast("Probed", step.ticket).probe
    train = training_images(step.images, place, device)
    classes = train.labelling.shown(train.labels)
    _refuse_too_few(classes, asked.per_class, step.images.classes)
    indices = draw(classes, asked.per_class * step.images.classes, "balanced", Key(step.seed).of("probe"))
    checkpoint.write(place.out / "probe.safetensors", {"indices": indices}, {"per_class": asked.per_class})
    sizes = batch_sizes(len(indices), asked.batch)
    labels = train.labels[indices.to(train.labels.device)]
    return Probe(torch.split(train.take(indices), sizes), torch.split(labels, sizes))


def _refuse_too_few(labels: Tensor, per_class: int, classes: int) -> None:
    """DataError where a class has too few images for the probe set, or none: a subset need not be balanced."""
    counts = torch.bincount(labels.cpu(), minlength=classes)
    least = int(counts.argmin())
    if int(counts[least]) < per_class:
        raise DataError(
            f"the probe set has {per_class} images of each class, and of class {least} only {int(counts[least])} are kept",
            mend="a smaller ticket.probe.per_class, more images, or data.subset: balanced",
        )
