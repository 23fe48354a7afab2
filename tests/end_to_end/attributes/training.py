"""Training of a tagger."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch.nn.functional as F
from torch import Tensor

from ticketlab.training.supervised import SupervisedTraining

if TYPE_CHECKING:
    from attributes import BinaryCrossEntropy
    from ticketlab.training.setup import Setup


def binary_cross_entropy(setup: Setup) -> SupervisedTraining:
    options = cast("BinaryCrossEntropy", setup.objective)
    return SupervisedTraining(setup, options.optimizer, loss)


def loss(logits: Tensor, attributes: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, attributes.to(logits.dtype))
