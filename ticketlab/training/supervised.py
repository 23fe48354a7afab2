"""One network that learns from labelled images under a mask: what classification and segmentation share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.models.dropout import set_keys
from ticketlab.training.frozen import Frozen
from ticketlab.training.learner import Learner
from ticketlab.training.optim import Share, whole
from ticketlab.training.setup import Setup, fed, widened

if TYPE_CHECKING:
    from ticketlab.spec.train import Optimizer

LEARNING = Frozen()
"""Nothing is frozen."""

Batch = Callable[[Setup, int], tuple[Tensor, Tensor]]
"""The images of a batch as the network sees them, and the labels that belong to them."""


def seen(setup: Setup, number: int) -> tuple[Tensor, Tensor]:
    """Augmented images of a batch, and the labels it came with."""
    pixels, labels = setup.batches.at(number)
    images = setup.scale(setup.augmented(pixels, "pixels", "real", number))
    return setup.augmented(images, "scaled", "real", number), labels


class SupervisedTraining:
    """The one network of a model in training; one step is one batch.

    `loss(outputs, labels)` is that of a whole batch, given outputs in single precision at least; `share(parameter)` is
    what a parameter's learning rate is multiplied by; what is `frozen` does not move.
    """

    def __init__(
        self,
        setup: Setup,
        optimizer: Optimizer,
        loss: Callable[[Tensor, Tensor], Tensor],
        batch: Batch = seen,
        share: Share = whole,
        frozen: Frozen = LEARNING,
    ) -> None:
        self._setup = setup
        self._loss_of = loss
        self._batch = batch
        self._frozen = frozen
        ((self._name, self.network),) = setup.networks.items()
        frozen.hold(self.network)
        self._forward = setup.compile(self.network)
        self._learner = Learner(self._name, setup, optimizer, share)

    def step(self, step: int) -> dict[str, Tensor]:
        """One update on one batch."""
        self._frozen.train(self.network)
        set_keys(self.network, self._setup.key.of("dropout", step))
        loss = self._loss(self._forward, step)
        self._learner.learn(loss, step)
        return {"loss_train": loss.detach()}

    def _loss(self, forward: Callable[..., Tensor], number: int) -> Tensor:
        images, labels = self._batch(self._setup, number)
        with self._setup.precision():
            outputs = forward(images)
            return self._loss_of(widened(outputs), labels)

    def inputs(self, number: int) -> dict[str, tuple[Tensor, ...]]:
        """The images of a batch."""
        return {self._name: self._batch(self._setup, number)[:1]}

    def losses(self, networks: Mapping[str, nn.Module], number: int) -> dict[str, Tensor]:
        """The loss of a given network on a batch."""
        network = networks[self._name]
        set_keys(network, self._setup.key.of("dropout", number))
        return {self._name: self._loss(fed(network), number)}

    def state(self) -> dict[str, Tensor]:
        """The network and its optimiser."""
        return self._learner.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        self._learner.load(state)

    def trained(self) -> Mapping[str, nn.Module]:
        """The last iterate."""
        return {self._name: self.network}

    def evaluated(self) -> nn.Module:
        """The last iterate."""
        return self.network
