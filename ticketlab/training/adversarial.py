"""Adversarial training: n_critic critic updates, one generator update, a moving average of the generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.training.average import MovingAverage
from ticketlab.training.learner import Learner
from ticketlab.training.setup import Setup, fed, named, under, widened

if TYPE_CHECKING:
    from ticketlab.models.entering import Generates
    from ticketlab.spec.train import Adversarial


Play = Callable[..., Tensor]
"""A generator or a critic, compiled or not.

A generator is given what it draws for itself (`ticketlab.models.entering`); a critic images and, of real images and of
those made by a conditional generator, their labels. One that is not conditional does not look at them.
"""


@dataclass(frozen=True)
class AdversarialLoss:
    """The two players' losses as functions of critic scores (B, 1): the critic's of real and fake, the generator's of fake."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


HINGE = AdversarialLoss(
    critic=lambda real, fake: F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean(),
    generator=lambda fake: -fake.mean(),
)
NON_SATURATING = AdversarialLoss(
    critic=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    generator=lambda fake: F.softplus(-fake).mean(),
)


def hinge(setup: Setup) -> AdversarialTraining:
    """Training with the hinge loss (Lim and Ye 2017)."""
    return AdversarialTraining(setup, HINGE)


def non_saturating(setup: Setup) -> AdversarialTraining:
    """Training with the logistic loss, non-saturating for the generator (Goodfellow et al. 2014)."""
    return AdversarialTraining(setup, NON_SATURATING)


class AdversarialTraining:
    """A generator and a critic in training.

    Real and generated images go through the critic in two forwards, so its power iterations run twice per update, as
    in the published loops; the generator makes its critic-update images in training mode but without a graph.
    """

    def __init__(self, setup: Setup, loss: AdversarialLoss) -> None:
        self._setup = setup
        self._loss = loss
        self._device = next(setup.networks["generator"].parameters()).device
        self._options = cast("Adversarial", setup.objective)
        assert self._options.critic_optimizer is not None, "the spec was not resolved"
        self.generator, self.critic = setup.networks["generator"], setup.networks["critic"]
        self._generate, self._judge = setup.compile(self.generator), setup.compile(self.critic)
        self._generator_learner = Learner("generator", setup, self._options.optimizer)
        self._critic_learner = Learner("critic", setup, self._options.critic_optimizer)
        self.average = MovingAverage(self.generator, self._options.ema)

    def step(self, step: int) -> dict[str, Tensor]:
        """`n_critic` critic updates on fresh batches, then one generator update."""
        self.generator.train()
        self.critic.train()
        self.critic.requires_grad_(True)
        for part in range(self._options.n_critic):
            critic_loss = self._update_critic(step, part)
        self.critic.requires_grad_(False)
        generator_loss = self._update_generator(step)
        self.average.update()
        return {"loss_critic": critic_loss, "loss_generator": generator_loss}

    def _update_critic(self, step: int, part: int) -> Tensor:
        loss = self._critic_loss(self._generate, self._judge, step * self._options.n_critic + part)
        self._critic_learner.learn(loss, step)
        return loss.detach()

    def _update_generator(self, step: int) -> Tensor:
        loss = self._generator_loss(self._generate, self._judge, step)
        self._generator_learner.learn(loss, step)
        return loss.detach()

    def _critic_loss(self, generate: Play, judge: Play, number: int) -> Tensor:
        setup = self._setup
        real, labels = self._real(number)
        with setup.precision():
            entering = self._entering(len(real), "critic", number)
            with torch.no_grad():
                fake = generate(*entering)
            real_scores = judge(setup.augmented(real, "scaled", "real", number), labels)
            fake_scores = judge(setup.augmented(fake, "scaled", "fake", number), *entering[1:])
            return self._loss.critic(widened(real_scores), widened(fake_scores))

    def _generator_loss(self, generate: Play, judge: Play, number: int) -> Tensor:
        setup = self._setup
        with setup.precision():
            entering = self._entering(self._options.generator_batch, "generator", number)
            fake = generate(*entering)
            scores = judge(setup.augmented(fake, "scaled", "generator", number), *entering[1:])
            return self._loss.generator(widened(scores))

    def _real(self, number: int) -> tuple[Tensor, Tensor]:
        setup = self._setup
        pixels, labels = setup.batches.at(number)
        return setup.scale(setup.augmented(pixels, "pixels", "real", number)), labels

    def inputs(self, number: int) -> dict[str, Tensor]:
        """The noise of a generator update, and the real images of a critic update."""
        entering = self._entering(self._options.generator_batch, "generator", number)
        return {"generator": entering[0], "critic": self._real(number)[0]}

    def losses(self, networks: Mapping[str, nn.Module], number: int) -> dict[str, Tensor]:
        """Both players' losses, for a given generator and critic."""
        generate, judge = fed(networks["generator"]), fed(networks["critic"])
        return {
            "generator": self._generator_loss(generate, judge, number),
            "critic": self._critic_loss(generate, judge, number),
        }

    def _entering(self, count: int, purpose: str, number: int) -> tuple[Tensor, ...]:
        generator = cast("Generates", self.generator)
        drawn = generator.entering(count, self._setup.key.of("noise", purpose, number))
        return tuple(part.to(self._device, non_blocking=True) for part in drawn)

    def state(self) -> dict[str, Tensor]:
        """Both networks, both optimisers, the moving average."""
        return {
            **self._generator_learner.state(),
            **self._critic_learner.state(),
            **named("ema.generator", self.average.network.state_dict()),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        self._generator_learner.load(state)
        self._critic_learner.load(state)
        self.average.load(under("ema.generator", state))

    def trained(self) -> Mapping[str, nn.Module]:
        """The last iterates of both networks and the averaged generator."""
        return {"generator": self.generator, "critic": self.critic, "ema.generator": self.average.network}

    def evaluated(self) -> nn.Module:
        """The averaged generator, in eval mode."""
        return self.average.network
