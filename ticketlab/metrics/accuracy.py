"""Accuracy and loss of a classifier on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import DataError
from ticketlab.metrics.evaluation_mode import evaluation_mode
from ticketlab.metrics.evidence import Classified, Segmented
from ticketlab.metrics.names import ACCURACY, LOSS

if TYPE_CHECKING:
    from ticketlab.spec.metric import Accuracy, Loss


def classify(
    network: nn.Module, parts: Iterable[tuple[Tensor, Tensor]], scale: Callable[[Tensor], Tensor]
) -> Classified:
    """What `network` makes of labelled images.

    Each part has images uint8 (n, C, S, S) and labels int64 (n,), on the device of `network`; `scale` turns uint8 images
    into what the network was trained on. Every image counts once, whatever the size of its part; sums are float64.
    The network, its buffers and its mode are as before, and no random number is drawn. DataError for no images.
    """
    labels, predicted = [], []
    surprise: float | Tensor = 0.0
    with evaluation_mode(network):
        for images, truth in parts:
            if not len(images) or len(images) != len(truth):
                raise DataError(f"accuracy needs images with one label each, found {len(images)} and {len(truth)}")
            logits = network(scale(images)).double()
            labels.append(truth)
            predicted.append(logits.argmax(1))
            surprise = surprise + F.cross_entropy(logits, truth, reduction="sum")
    if not labels:
        raise DataError("accuracy needs images with one label each, found none")
    return Classified(torch.cat(labels), torch.cat(predicted), float(surprise))


def accuracy(options: Accuracy, evidence: Classified) -> dict[str, float]:
    """Share of the images whose largest logit is the label's (the first of equal ones)."""
    return {ACCURACY: int((evidence.predicted == evidence.labels).sum()) / len(evidence.labels)}


def loss(options: Loss, evidence: Classified | Segmented) -> dict[str, float]:
    """Mean cross-entropy, in nats."""
    return {LOSS: evidence.mean_surprise}
