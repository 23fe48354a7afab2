"""Which images of a split are there: those of some classes, called by their place among these, and of these some."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ticketlab.errors import DataError


@dataclass(frozen=True)
class Chosen:
    """Images of the `classes` (numbers, in the order of their new labels; of all, if empty), and of these those at `kept`.

    `kept` are indices int64 among the images of the classes, in file order; None keeps all.
    """

    classes: tuple[int, ...] = ()
    kept: Tensor | None = None

    def numbers(self, labels: Tensor) -> Tensor | None:
        """Which images of a split with these labels are there, int64 in file order; None for all.

        DataError if one of the classes has no image.
        """
        if not self.classes:
            return self.kept
        wanted = torch.tensor(self.classes)
        absent = wanted[~torch.isin(wanted, labels)].tolist()
        if absent:
            raise DataError(
                f"there is no image of class {absent[0]}", mend="data.classes that have images in both splits"
            )
        found = torch.isin(labels, wanted).nonzero().squeeze(1)
        return found if self.kept is None else found[self.kept]

    def named(self, labels: Tensor) -> Tensor:
        """The labels of images that are there: of each the place of its class."""
        if not self.classes:
            return labels
        places = torch.zeros(max(self.classes) + 1, dtype=torch.int64)
        places[torch.tensor(self.classes)] = torch.arange(len(self.classes))
        return places[labels]
