"""Classification by cross-entropy under a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.training.optim import SteppedOptimizer
from ticketlab.training.setup import Setup, named, under

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
        self._optimizer = SteppedOptimizer(self.classifier, self._options.optimizer, self._options)
        self._masking = setup.masks.get("classifier")
        if self._masking is not None:
            self._masking.impose()

    def step(self, step: int) -> dict[str, Tensor]:
        """One update on one batch."""
        self.classifier.train()
        loss = self._loss(self._classify, step)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._masking is not None:
            self._masking.mask_gradients()
        self._optimizer.step(step)
        if self._masking is not None:
            self._masking.impose()
        return {"loss_train": loss.detach()}

    def _loss(self, classify: Callable[..., Tensor], number: int) -> Tensor:
        images, labels = self._batch(number)
        with self._setup.precision():
            logits = classify(images)
            return F.cross_entropy(logits.float(), labels, label_smoothing=self._options.label_smoothing)

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
        return {"classifier": self._loss(networks["classifier"], number)}

    def state(self) -> dict[str, Tensor]:
        """The network and its optimiser."""
        return {**self.weights(), **named("optimizer.classifier", self._optimizer.state())}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        self.classifier.load_state_dict(under("classifier", state))
        self._optimizer.load(under("optimizer.classifier", state))

    def weights(self) -> dict[str, Tensor]:
        """The last iterate."""
        return named("classifier", self.classifier.state_dict())

    def evaluated(self) -> nn.Module:
        """The last iterate."""
        return self.classifier
