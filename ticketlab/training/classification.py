"""Classification by cross-entropy under a mask."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import torch.nn.functional as F

from ticketlab.training.supervised import SupervisedTraining

if TYPE_CHECKING:
    from ticketlab.spec.train import CrossEntropy
    from ticketlab.training.setup import Setup


def cross_entropy(setup: Setup) -> SupervisedTraining:
    """Training of a classifier by mean cross-entropy."""
    options = cast("CrossEntropy", setup.objective)
    loss = partial(F.cross_entropy, label_smoothing=options.label_smoothing)
    return SupervisedTraining(setup, options.optimizer, loss)
