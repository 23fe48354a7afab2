"""Accuracy and loss of a classifier on labelled images."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import DataError
from ticketlab.metrics.evaluation_mode import evaluation_mode
from ticketlab.metrics.names import ACCURACY, LOSS


def classify(
    network: nn.Module, images: Tensor, labels: Tensor, scale: Callable[[Tensor], Tensor], batch: int
) -> dict[str, float]:
    """Share of `images` whose largest logit is the label's, and the mean cross-entropy in nats.

    `images` is uint8 (n, C, S, S), `labels` int64 (n,), on the device of `network`; `scale` turns a uint8 batch into
    what the network was trained on. Every image counts once, whatever the size of the last batch; sums are float64.
    The network, its buffers and its mode are as before, and no random number is drawn. DataError for no images.
    """
    if not len(images) or len(images) != len(labels):
        raise DataError(f"accuracy needs images with one label each, found {len(images)} and {len(labels)}")
    right = torch.zeros((), dtype=torch.int64, device=labels.device)
    surprise = torch.zeros((), dtype=torch.float64, device=labels.device)
    with evaluation_mode(network):
        for start in range(0, len(images), batch):
            truth = labels[start : start + batch]
            logits = network(scale(images[start : start + batch])).double()
            right += (logits.argmax(1) == truth).sum()
            surprise += F.cross_entropy(logits, truth, reduction="sum")
    return {ACCURACY: int(right) / len(images), LOSS: float(surprise) / len(images)}
