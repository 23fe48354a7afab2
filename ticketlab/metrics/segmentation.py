"""How well label maps are predicted: a confusion matrix of pixels, and what is read off it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import DataError
from ticketlab.metrics.evaluation_mode import evaluation_mode
from ticketlab.spec.labelling import UNLABELLED


@dataclass(frozen=True, eq=False)
class Confusion:
    """Labelled pixels int64 (classes, classes) by their class (row) and the class predicted; their cross-entropy, summed."""

    pixels: Tensor
    surprise: float

    @property
    def accuracy(self) -> float:
        """The share of labelled pixels whose class is predicted."""
        return int(self.pixels.diagonal().sum()) / int(self.pixels.sum())

    @property
    def loss(self) -> float:
        """The mean cross-entropy of labelled pixels, in nats."""
        return self.surprise / int(self.pixels.sum())

    @property
    def mean_iou(self) -> float:
        """The mean over classes of |predicted and true| / |predicted or true|; classes that are neither do not count.

        Source: Everingham et al. 2015, "The PASCAL VOC challenge: a retrospective", section 2.2.3: one matrix for all
        images, not a mean over images.
        """
        both = self.pixels.diagonal()
        either = self.pixels.sum(0) + self.pixels.sum(1) - both
        occur = either > 0
        return float((both[occur].double() / either[occur].double()).mean())


def confuse(
    network: nn.Module, images: Tensor, maps: Tensor, classes: int, scale: Callable[[Tensor], Tensor], batch: int
) -> Confusion:
    """The confusion of a segmenter on `images` uint8 (n, C, S, S) with label maps uint8 (n, S, S), on its device.

    `scale` turns a uint8 batch into what the network was trained on. Pixels that are `UNLABELLED` count nowhere. The
    network, its buffers and its mode are as before. DataError for maps that have no labelled pixel.
    """
    pixels = torch.zeros((classes, classes), dtype=torch.int64, device=maps.device)
    surprise = torch.zeros((), dtype=torch.float64, device=maps.device)
    with evaluation_mode(network):
        for start in range(0, len(images), batch):
            rows = network(scale(images[start : start + batch])).movedim(1, 3).flatten(0, 2)
            truth = maps[start : start + batch].flatten().long()
            labelled = truth != UNLABELLED
            rows, truth = rows[labelled].double(), truth[labelled]
            pairs = truth * classes + rows.argmax(1)
            pixels += torch.bincount(pairs, minlength=classes**2).view(classes, classes)
            surprise += F.cross_entropy(rows, truth, reduction="sum")
    if not pixels.any():
        raise DataError("no pixel has a label: there is nothing to compare with")
    return Confusion(pixels.cpu(), float(surprise))
