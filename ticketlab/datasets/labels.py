"""The kinds of label: what makes them right, how they follow their images to another size, which class an image shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ticketlab.datasets.batches import bordered
from ticketlab.errors import DataError
from ticketlab.label_map import UNLABELLED
from ticketlab.made import made
from ticketlab.spec.labelling import label_kind

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.labelling import Classes, Maps


class Labelling(ABC):
    """What is done with labels of one kind, which have one entry per image in their first dimension.

    `kind` is the name of the kind, in dataset.json and among the members of the family of labels.
    """

    kind: ClassVar[str]

    @abstractmethod
    def check(self, labels: Tensor, images: Tensor, classes: int, where: str) -> None:
        """DataError unless `labels` can be those of `images` (N, C, S, S), N > 0, in so many classes."""

    @abstractmethod
    def bytes_each(self, shape: ImageShape) -> int:
        """What the label of one image of that shape takes in a file."""

    @abstractmethod
    def fitted(self, labels: Tensor, size: int | None, fit: Literal["resize", "pad"]) -> Tensor:
        """The labels of images that `prepare` brings to `size` in the way `fit`."""

    @abstractmethod
    def shown(self, labels: Tensor) -> Tensor:
        """One class int64 (N,) per image, on the CPU: the one it is drawn as in a balanced subset.

        A number beyond the classes stands for images that show none of them.
        """

    def probed(self, shown: Tensor, classes: int) -> Tensor:
        """The classes, sorted, of which a probe set has equally many images: all, whatever those `shown` by the images are."""
        return torch.arange(classes)

    @abstractmethod
    def example(self, count: int, shape: ImageShape) -> Tensor:
        """Valid labels for `count` images, in which every class occurs as soon as there are as many images."""


class OneClass(Labelling):
    """One class per image: labels int64 (N,)."""

    kind: ClassVar[str] = "class"

    def check(self, labels: Tensor, images: Tensor, classes: int, where: str) -> None:
        """DataError unless there is one whole number below `classes` per image."""
        if labels.dtype != torch.int64 or tuple(labels.shape) != (len(images),):
            raise DataError("labels must be int64, one per image", where=where)
        if int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise DataError(f"labels must be 0 to {classes - 1}", where=where)

    def bytes_each(self, shape: ImageShape) -> int:
        """Eight bytes, whatever the shape."""
        return 8

    def fitted(self, labels: Tensor, size: int | None, fit: Literal["resize", "pad"]) -> Tensor:
        """The same labels: what an image shows does not depend on its size."""
        return labels

    def shown(self, labels: Tensor) -> Tensor:
        """The labels themselves."""
        return labels.cpu()

    def example(self, count: int, shape: ImageShape) -> Tensor:
        """The classes in turn."""
        return torch.arange(count) % shape.classes


class ClassMap(Labelling):
    """One class per pixel: labels uint8 (N, S, S), `UNLABELLED` where none is known."""

    kind: ClassVar[str] = "map"

    def check(self, labels: Tensor, images: Tensor, classes: int, where: str) -> None:
        """DataError unless there is one map of each image's height and width, of classes or `UNLABELLED`."""
        if labels.dtype != torch.uint8 or labels.shape != (len(images), *images.shape[2:]):
            raise DataError("label maps must be uint8, one as large as each image", where=where)
        if classes > UNLABELLED:
            raise DataError(f"label maps have at most {UNLABELLED} classes, not {classes}", where=where)
        # A whole split is counted part by part: a sum over bytes must not make a copy eight times as large.
        wrong = any(bool(((part >= classes) & (part != UNLABELLED)).any()) for part in torch.split(labels, 64))
        if wrong:
            raise DataError(f"label maps must hold 0 to {classes - 1}, or {UNLABELLED} for no label", where=where)

    def bytes_each(self, shape: ImageShape) -> int:
        """A byte per pixel."""
        return shape.size**2

    def fitted(self, labels: Tensor, size: int | None, fit: Literal["resize", "pad"]) -> Tensor:
        """Every pixel takes the class of the nearest old one; a border around the images has no label."""
        if size is None or size == labels.shape[-1]:
            return labels
        if fit == "pad":
            return bordered(labels, size, UNLABELLED)
        return F.interpolate(labels.unsqueeze(1), size=(size, size), mode="nearest-exact").squeeze(1)

    def shown(self, labels: Tensor) -> Tensor:
        """The class of each map that the fewest maps show, the lower of two; `UNLABELLED` for a map without any.

        So a map with a bicycle in front of a background counts as a bicycle.
        """
        counts = [torch.bincount(one.flatten(), minlength=UNLABELLED + 1)[:UNLABELLED] for one in labels.cpu()]
        there = torch.stack(counts) > 0
        ranks = there.sum(0) * UNLABELLED + torch.arange(UNLABELLED)
        never = torch.iinfo(torch.int64).max
        ranked = torch.where(there, ranks, never)
        return torch.where(there.any(1), ranked.argmin(1), UNLABELLED)

    def probed(self, shown: Tensor, classes: int) -> Tensor:
        """Those that a map counts as: a background behind everything is in the probe set without maps of its own."""
        counted: Tensor = torch.unique(shown[shown < classes])
        return counted

    def example(self, count: int, shape: ImageShape) -> Tensor:
        """Class 0 beside each class in turn, so that every class is the rarest of some map, below a row without labels."""
        maps = torch.empty((count, shape.size, shape.size), dtype=torch.uint8)
        turn = torch.arange(count)
        half = shape.size // 2
        maps[:, :, :half] = 0
        maps[:, :, half:] = (turn % shape.classes).to(torch.uint8).view(-1, 1, 1)
        maps[:, 0] = UNLABELLED
        return maps


CLASSES = OneClass()
MAPS = ClassMap()


def one_class(kind: Classes) -> Labelling:
    """What is done with classes."""
    return CLASSES


def class_map(kind: Maps) -> Labelling:
    """What is done with maps."""
    return MAPS


@cache
def labelling_of(name: str) -> Labelling:
    """What is done with labels of the kind that is called so. DataError if no installed package has it."""
    kind = label_kind(name)
    labelling: Labelling = made(kind.made_by)(kind)
    return labelling
