"""Segmentation by the cross-entropy of pixels, those without a label left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch.nn.functional as F
from torch import Tensor

from ticketlab.label_map import UNLABELLED
from ticketlab.training.frozen import Frozen
from ticketlab.training.supervised import SupervisedTraining, seen

if TYPE_CHECKING:
    from ticketlab.spec.train import PixelCrossEntropy
    from ticketlab.training.setup import Setup


def pixel_cross_entropy(setup: Setup) -> SupervisedTraining:
    """Training of a segmenter by mean cross-entropy over labelled pixels, its label maps augmented with its images."""
    options = cast("PixelCrossEntropy", setup.objective)

    def share(parameter: str) -> float:
        return options.backbone_rate if "backbone" in parameter.split(".") else 1.0

    return SupervisedTraining(setup, options.optimizer, pixel_loss, seen_with_maps, share, Frozen.of(options))


def seen_with_maps(setup: Setup, number: int) -> tuple[Tensor, Tensor]:
    """Augmented images of a batch, and label maps that lie on them."""
    images, maps = seen(setup, number)
    return images, setup.moved(maps, "real", number)


def pixel_loss(logits: Tensor, maps: Tensor) -> Tensor:
    """Mean cross-entropy in nats of logits (B, classes, H, W) over the labelled pixels of maps (B, H, W); 0 for none.

    Pixels are taken as rows: torch sums those of maps on a GPU in no fixed order.
    """
    rows, labels = logits.movedim(1, 3).flatten(0, 2), maps.flatten().long()
    total = F.cross_entropy(rows, labels, ignore_index=UNLABELLED, reduction="sum")
    return total / (labels != UNLABELLED).sum().clamp(min=1)
