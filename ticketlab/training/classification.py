"""Classification under a mask: by cross-entropy, by squared error."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ticketlab.training.frozen import Frozen
from ticketlab.training.supervised import SupervisedTraining

if TYPE_CHECKING:
    from ticketlab.spec.train import CrossEntropy, SquaredError
    from ticketlab.training.setup import Setup


def cross_entropy(setup: Setup) -> SupervisedTraining:
    """Training of a classifier by mean cross-entropy."""
    options = cast("CrossEntropy", setup.objective)
    loss = partial(F.cross_entropy, label_smoothing=options.label_smoothing)
    return SupervisedTraining(setup, options.optimizer, loss, frozen=Frozen.of(options))


def squared_error(setup: Setup) -> SupervisedTraining:
    """Training of a classifier by the mean, over images and classes, of (output - target)^2."""
    options = cast("SquaredError", setup.objective)
    return SupervisedTraining(setup, options.optimizer, distance_to_one_hot, frozen=Frozen.of(options))


def distance_to_one_hot(outputs: Tensor, labels: Tensor) -> Tensor:
    """Mean squared difference of outputs (B, classes) to 1 at the label and 0 elsewhere."""
    # Compared, not scattered: `one_hot` looks at all labels first, for which a GPU would be waited for in every step.
    targets = labels.unsqueeze(1) == torch.arange(outputs.shape[1], device=labels.device)
    return F.mse_loss(outputs, targets.to(outputs))
