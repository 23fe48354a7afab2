"""Accuracy and loss of a classifier on labelled images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import DataError
from ticketlab.metrics.evaluation_mode import evaluation_mode
from ticketlab.metrics.evidence import Classified
from ticketlab.metrics.names import ACCURACY, LOSS

if TYPE_CHECKING:
    from ticketlab.spec.metric import Accuracy, Loss


def classify(
    network: nn.Module, images: Tensor, labels: Tensor, scale: Callable[[Tensor], Tensor], batch: int
) -> Classified:
    """What `network` makes of labelled images.

    `images` is uint8 (n, C, S, S), `labels` int64 (n,), on the device of `network`; `scale` turns a uint8 batch into
    what the network was trained on. Every image counts once, whatever the size of the last batch; sums are float64.
    The network, its buffers and its mode are as before, and no random number is drawn. DataError for no images.
    """
    if not len(images) or len(images) != len(labels):
        raise DataError(f"accuracy needs images with one label each, found {len(images)} and {len(labels)}")
    predicted = torch.empty_like(labels)
    surprise = torch.zeros((), dtype=torch.float64, device=labels.device)
    with evaluation_mode(network):
        for start in range(0, len(images), batch):
            truth = labels[start : start + batch]
            logits = network(scale(images[start : start + batch])).double()
            predicted[start : start + batch] = logits.argmax(1)
            surprise += F.cross_entropy(logits, truth, reduction="sum")
    return Classified(labels, predicted, float(surprise))


def accuracy(options: Accuracy, evidence: Classified) -> dict[str, float]:
    """Share of the images whose largest logit is the label's (the first of equal ones)."""
    return {ACCURACY: int((evidence.predicted == evidence.labels).sum()) / len(evidence.labels)}


def loss(options: Loss, evidence: Classified) -> dict[str, float]:
    """Mean cross-entropy, in nats."""
    return {LOSS: evidence.surprise / len(evidence.labels)}
