"""The probe set of a method that scores weights: drawn once, balanced by class, recorded, the same in every round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from ticketlab.datasets.subset import draw
from ticketlab.errors import DataError
from ticketlab.randomness import Key
from ticketlab.run.steps.prepare import training_images
from ticketlab.tickets.probed import batch_sizes
from ticketlab.training import checkpoint

if TYPE_CHECKING:
    from ticketlab.datasets.labels import Labelling
    from ticketlab.plan.steps import Draw
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.probed import Probed


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


def drawn_probe(step: Draw, place: Workplace, device: Device) -> Probe:
    """The probe set the ticket asks for; writes the images' indices, in the order of the batches, to `probe.safetensors`."""
    asked = cast("Probed", step.ticket).probe
    train = training_images(step.images, place, device)
    key = Key(step.seed).of("probe")
    indices = balanced(train.labelling, train.labels, step.images.classes, asked.per_class, key)
    checkpoint.write(place.out / "probe.safetensors", {"indices": indices}, {"per_class": asked.per_class})
    sizes = batch_sizes(len(indices), asked.batch)
    labels = train.labels[indices.to(train.labels.device)]
    return Probe(torch.split(train.take(indices), sizes), torch.split(labels, sizes))


def balanced(labelling: Labelling, labels: Tensor, classes: int, per_class: int, key: Key) -> Tensor:
    """Indices int64 of `per_class` images of each class, in any order.

    Files are often sorted by class, and normalisation in mode `train` goes by what is in a batch.
    """
    shown = labelling.shown(labels)
    wanted = labelling.probed(shown, classes)
    _refuse_too_few(shown, wanted, per_class)
    showing = torch.isin(shown, wanted).nonzero().squeeze(1)
    indices = showing[draw(shown[showing], per_class * len(wanted), "balanced", key)]
    return indices[torch.randperm(len(indices), generator=key.of("order").generator())]


def _refuse_too_few(shown: Tensor, classes: Tensor, per_class: int) -> None:
    """DataError where a class has too few images for the probe set, or none: a subset need not be balanced."""
    counts = torch.bincount(shown, minlength=int(classes.max()) + 1)[classes]
    least = int(counts.argmin())
    if int(counts[least]) < per_class:
        raise DataError(
            f"the probe set has {per_class} images of each class, and of class {int(classes[least])} only "
            f"{int(counts[least])} are kept",
            mend="a smaller ticket.probe.per_class, more images, or data.subset: balanced",
        )
