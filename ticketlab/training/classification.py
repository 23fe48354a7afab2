"""Classification by cross-entropy under a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.models.dropout import set_keys
from ticketlab.training.learner import Learner
from ticketlab.training.setup import Setup, fed, widened

if TYPE_CHECKING:
    from ticketlab.spec.train import CrossEntropy


def cross_entropy(setup: Setup) -> ClassifierTraining:
    """Training of a classifier by mean cross-entropy."""
    return ClassifierTraining(setup)


class ClassifierTraining:
    """A classifier in training; one step is one batch."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._options = cast("CrossEntropy", setup.objective)
        self.classifier = setup.networks["classifier"]
        self._classify = setup.compile(self.classifier)
        self._learner = Learner("classifier", setup, self._options.optimizer)

    def step(self, step: int) -> dict[str, Tensor]:
        """One update on one batch."""
        self.classifier.train()
        set_keys(self.classifier, self._setup.key.of("dropout", step))
        loss = self._loss(self._classify, step)
        self._learner.learn(loss, step)
        return {"loss_train": loss.detach()}

    def _loss(self, classify: Callable[..., Tensor], number: int) -> Tensor:
        images, labels = self._batch(number)
        with self._setup.precision():
            logits = classify(images)
            return F.cross_entropy(widened(logits), labels, label_smoothing=self._options.label_smoothing)

    def _batch(self, number: int) -> tuple[Tensor, Tensor]:
        setup = self._setup
        pixels, labels = setup.batches.at(number)
        images = setup.scale(setup.augmented(pixels, "pixels", "real", number))
        return setup.augmented(images, "scaled", "real", number), labels

    def inputs(self, number: int) -> dict[str, Tensor]:
        """The images of a batch."""
        return {"classifier": self._batch(number)[0]}

    def losses(self, networks: Mapping[str, nn.Module], number: int) -> dict[str, Tensor]:
        """The cross-entropy of a given classifier on a batch."""
        set_keys(networks["classifier"], self._setup.key.of("dropout", number))
        return {"classifier": self._loss(fed(networks["classifier"]), number)}

    def state(self) -> dict[str, Tensor]:
        """The network and its optimiser."""
        return self._learner.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        self._learner.load(state)

    def trained(self) -> Mapping[str, nn.Module]:
        """The last iterate."""
        return {"classifier": self.classifier}

    def evaluated(self) -> nn.Module:
        """The last iterate."""
        return self.classifier
