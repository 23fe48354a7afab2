"""What is done with attributes: labels uint8 (N, attributes) of zeros and ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from ticketlab.datasets.labels import Labelling
from ticketlab.errors import DataError

if TYPE_CHECKING:
    from attributes import Attributes
    from ticketlab.datasets.shape import ImageShape


class MultiHot(Labelling):
    """A byte for each attribute; an image is drawn as the rarest it has, or as having none."""

    kind: ClassVar[str] = "attributes"

    def check(self, labels: Tensor, images: Tensor, classes: int, where: str) -> None:
        if labels.dtype != torch.uint8 or labels.shape != (len(images), classes) or int(labels.max()) > 1:
            raise DataError("attributes must be uint8, a row of zeros and ones per image", where=where)

    def bytes_each(self, shape: ImageShape) -> int:
        return shape.classes

    def fitted(self, labels: Tensor, size: int | None, fit: Literal["resize", "pad"]) -> Tensor:
        return labels

    def shown(self, labels: Tensor) -> Tensor:
        there = labels.cpu().bool()
        none = there.shape[1]
        rarity = torch.where(there, there.sum(0), len(there) + 1)
        return torch.where(there.any(1), rarity.argmin(1), none)

    def example(self, count: int, shape: ImageShape) -> Tensor:
        turn = torch.arange(count).unsqueeze(1) % shape.classes
        return (torch.arange(shape.classes) == turn).to(torch.uint8)


def multi_hot(kind: Attributes) -> Labelling:
    return MultiHot()
