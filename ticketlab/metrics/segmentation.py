"""How well label maps are predicted: a confusion matrix of pixels, and what is read off it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import DataError
from ticketlab.label_map import UNLABELLED
from ticketlab.metrics.evaluation_mode import evaluation_mode
from ticketlab.metrics.evidence import Segmented
from ticketlab.metrics.names import MEAN_IOU, PIXEL_ACCURACY

if TYPE_CHECKING:
    from ticketlab.spec.metric import MeanIou, PixelAccuracy


def segment(
    network: nn.Module, parts: Iterable[tuple[Tensor, Tensor]], classes: int, scale: Callable[[Tensor], Tensor]
) -> Segmented:
    """What `network` makes of parts, each of images uint8 (n, C, S, S) with label maps uint8 (n, S, S), on its device.

    `scale` turns uint8 images into what the network was trained on. Pixels that are `UNLABELLED` count nowhere, all
    others alike, whatever the image. The network, its buffers and its mode are as before, and no random number is drawn.
    DataError for maps without any labelled pixel.
    """
    confusion = torch.zeros((classes, classes), dtype=torch.int64)
    surprise: float | Tensor = 0.0
    with evaluation_mode(network):
        for images, maps in parts:
            rows = network(scale(images)).movedim(1, 3).flatten(0, 2)
            truth = maps.flatten().long()
            labelled = truth != UNLABELLED
            rows, truth = rows[labelled].double(), truth[labelled]
            pairs = truth * classes + rows.argmax(1)
            confusion = confusion.to(maps.device) + torch.bincount(pairs, minlength=classes**2).view(classes, classes)
            surprise = surprise + F.cross_entropy(rows, truth, reduction="sum")
    if not confusion.any():
        raise DataError("no pixel has a label: there is nothing to compare with")
    return Segmented(confusion.cpu(), float(surprise))


def pixel_accuracy(options: PixelAccuracy, evidence: Segmented) -> dict[str, float]:
    """Share of the labelled pixels whose largest logit is the label's (the first of equal ones)."""
    return {PIXEL_ACCURACY: int(evidence.confusion.diagonal().sum()) / int(evidence.confusion.sum())}


def mean_iou(options: MeanIou, evidence: Segmented) -> dict[str, float]:
    """The mean over classes of |predicted and true| / |predicted or true|; classes that are neither do not count.

    Source: Everingham et al. 2015, "The PASCAL VOC challenge: a retrospective": one matrix for all images.
    """
    both = evidence.confusion.diagonal()
    either = evidence.confusion.sum(0) + evidence.confusion.sum(1) - both
    occur = either > 0
    return {MEAN_IOU: float((both[occur].double() / either[occur].double()).mean())}
