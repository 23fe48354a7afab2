"""The probe set of a method that scores weights: drawn once and balanced by class, or anew for every pass; recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor

from ticketlab.datasets.order import Order
from ticketlab.datasets.subset import draw
from ticketlab.errors import DataError
from ticketlab.made import made
from ticketlab.randomness import Key
from ticketlab.run.steps.prepare import training_images
from ticketlab.tickets.probed import batch_sizes
from ticketlab.training import checkpoint

if TYPE_CHECKING:
    from ticketlab.augment.augmenter import Augmenter
    from ticketlab.datasets.image_set import ImageSet
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
    redrawn: ClassVar[bool] = False
    augmenters: ClassVar[tuple[Augmenter, ...]] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Images per batch."""
        return tuple(map(len, self.labels))

    def at(self, number: int) -> tuple[Tensor, Tensor]:
        """One batch."""
        return self.images[number], self.labels[number]

    def first_of(self, round: int) -> int:
        """The number of the first batch of a round."""
        return 0


class Redrawn:
    """The images a method looks at, others in each of its `looks` in every round, any of `train` once in a look.

    Batches of `sizes` on the device are numbered through looks and rounds; the images of one look are held at a time.
    `augmenters` are those that are still to be applied: what cuts windows out of pictures is done as they are opened.
    """

    redrawn: ClassVar[bool] = True

    def __init__(
        self, train: ImageSet, sizes: Sequence[int], looks: int, key: Key, augmenters: Sequence[Augmenter]
    ) -> None:
        self.sizes = tuple(sizes)
        self._train = train
        self._looks = looks
        self._key = key
        self._all = augmenters
        with train.stream(self.sizes[0], key, augmenters) as (_, left):
            self.augmenters = left
        self._held: tuple[int, list[tuple[Tensor, Tensor]]] = (-1, [])

    def at(self, number: int) -> tuple[Tensor, Tensor]:
        """One batch; depends on nothing but its number."""
        look, place = divmod(number, len(self.sizes))
        if self._held[0] != look:
            self._held = look, self._of(look)
        return self._held[1][place]

    def first_of(self, round: int) -> int:
        """The number of the first batch of a round, counted from 1."""
        return (round - 1) * self._looks * len(self.sizes)

    def indices(self, round: int) -> Tensor:
        """Which images a round looks at, int64 (looks, images)."""
        begin = (round - 1) * self._looks
        return torch.stack([self._indices(look) for look in range(begin, begin + self._looks)])

    def _indices(self, look: int) -> Tensor:
        order = Order(len(self._train), self.sizes[0], self._key.of("look", look))
        return torch.cat([order.indices(number) for number in self._numbers()])[: sum(self.sizes)]

    def _of(self, look: int) -> list[tuple[Tensor, Tensor]]:
        with self._train.stream(self.sizes[0], self._key.of("look", look), self._all) as (stream, _):
            parts = [stream.at(number) for number in self._numbers()]
        images, labels = (torch.cat(found)[: sum(self.sizes)] for found in zip(*parts, strict=True))
        sizes = list(self.sizes)
        return list(zip(torch.split(images, sizes), torch.split(labels, sizes), strict=True))

    def _numbers(self) -> range:
        """The batches of a stream that hold the images of a look."""
        return range(-(-sum(self.sizes) // self.sizes[0]))


def drawn_probe(step: Draw, place: Workplace, device: Device) -> Probe | Redrawn:
    """The probe set the ticket asks for; writes the images' indices, in the order of the batches, to `probe.safetensors`.

    Of one that is drawn for every pass these are int64 (rounds of the step, looks, images).
    """
    ticket = cast("Probed", step.ticket)
    train = training_images(step.images, place, device)
    draws: dict[str, Callable[..., tuple[Probe | Redrawn, Tensor]]] = {"once": _once, "per_pass": _per_pass}
    probe, indices = draws[ticket.probe.drawn](step, ticket, train, Key(step.seed).of("probe"))
    checkpoint.write(place.out / "probe.safetensors", {"indices": indices}, {"per_class": ticket.probe.per_class})
    return probe


def _once(step: Draw, ticket: Probed, train: ImageSet, key: Key) -> tuple[Probe, Tensor]:
    indices = balanced(train.labelling, train.labels, step.images.classes, ticket.probe.per_class, key)
    sizes = batch_sizes(len(indices), ticket.probe.batch)
    labels = train.labels[indices.to(train.labels.device)]
    return Probe(torch.split(train.take(indices), sizes), torch.split(labels, sizes)), indices


def _per_pass(step: Draw, ticket: Probed, train: ImageSet, key: Key) -> tuple[Redrawn, Tensor]:
    assert step.objective is not None, "the plan gives the objective to a method that needs batches"
    sizes = batch_sizes(ticket.probe.per_class * step.images.classes, ticket.probe.batch)
    augmenters = [made(options.made_by)(options) for options in step.objective.augment]
    probe = Redrawn(train, sizes, ticket.looks, key, augmenters)
    return probe, torch.stack([probe.indices(round) for round in range(step.first, step.round + 1)])


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
