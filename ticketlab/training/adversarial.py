"""Adversarial training: n_critic critic updates, one generator update, a moving average of the generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.made import made
from ticketlab.training.average import MovingAverage
from ticketlab.training.learner import Learner
from ticketlab.training.players import Players
from ticketlab.training.setup import Setup, fed, named, under
from ticketlab.training.turn import AdversarialLoss, CriticTurn, GeneratorTurn, Term, Turn

if TYPE_CHECKING:
    from ticketlab.models.entering import Generates
    from ticketlab.spec.train import Adversarial


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


_SIDE = {"critic": "fake", "generator": "generator"}
"""By whose turn it is, the purpose that draws the augmentations of generated images."""


class AdversarialTraining:
    """A generator and a critic in training, by any pair of losses and what the objective's regularisers add to them.

    Real and generated images go through the critic in two forwards, so its power iterations run twice per update, as
    in the published loops; the generator makes its critic-update images in training mode but without a graph. A network
    that a regulariser works on the parts of goes forward part by part, and these are not compiled.
    """

    def __init__(self, setup: Setup, loss: AdversarialLoss) -> None:
        self._setup = setup
        self._loss = loss
        self._device = next(setup.networks["generator"].parameters()).device
        self._options = cast("Adversarial", setup.objective)
        assert self._options.critic_optimizer is not None, "the spec was not resolved"
        self.generator, self.critic = setup.networks["generator"], setup.networks["critic"]
        self._terms = {player: self._terms_of(player) for player in ("generator", "critic")}
        parts = {part for one in self._options.regularisers for part in one.works_on}
        self._players = Players(
            self.generator,
            self.critic,
            setup.compile(self.generator),
            setup.compile(self.critic),
            frozenset(part.partition(".")[0] for part in parts),
        )
        self._generator_learner = Learner("generator", setup, self._options.optimizer)
        self._critic_learner = Learner("critic", setup, self._options.critic_optimizer)
        self.average = MovingAverage(self.generator, self._options.ema)

    def _terms_of(self, player: str) -> list[tuple[str, Term]]:
        chosen = [one for one in self._options.regularisers if player in one.on]
        return [(one.name, partial(made(one.made_by), one)) for one in chosen]

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
        with self._setup.precision():
            turn = self._critic_turn(self._players, step * self._options.n_critic + part)
            loss = self._regularised("critic", turn)
        self._critic_learner.learn(loss, step)
        return loss.detach()

    def _update_generator(self, step: int) -> Tensor:
        with self._setup.precision():
            turn = self._generator_turn(self._players, step)
            loss = self._regularised("generator", turn)
        self._generator_learner.learn(loss, step)
        return loss.detach()

    def _regularised(self, player: str, turn: Turn) -> Tensor:
        """The loss of a turn and all that is added to it."""
        loss = turn.loss
        for name, term in self._terms[player]:
            loss = loss + term(replace(turn, key=turn.key.of(name)))
        return loss

    def _critic_turn(self, players: Players, number: int) -> CriticTurn:
        images, labels = self.real(number)
        entering = self.entering(len(images), "critic", number)
        with torch.no_grad():
            made_up = players.generate(*entering)
        real = players.judged(images, self._shown("real", number, images), labels)
        turn = self._turn(players, "critic", number, entering, made_up, partial(self._loss.critic, real.scores))
        return CriticTurn(**vars(turn), real=real)

    def _generator_turn(self, players: Players, number: int) -> GeneratorTurn:
        entering = self.entering(self._options.generator_batch, "generator", number)
        images, grid = players.make(entering)
        turn = self._turn(players, "generator", number, entering, images, self._loss.generator)
        return GeneratorTurn(**vars(turn), grid=grid)

    def _turn(
        self,
        players: Players,
        player: str,
        number: int,
        entering: tuple[Tensor, ...],
        images: Tensor,
        loss: Callable[[Tensor], Tensor],
    ) -> Turn:
        """What both players' turns have: `images`, made of `entering`, are judged, and `loss` is of their scores."""
        show = partial(self._shown, _SIDE[player], number)
        fake = players.judged(images, show(images), *entering[1:])
        return Turn(
            number=number,
            generator=players.generator,
            critic=players.critic,
            losses=self._loss,
            entering=entering,
            fake=fake,
            loss=loss(fake.scores),
            show=show,
            key=self._setup.key.of("regulariser", player, number),
            precision=self._setup.precision,
        )

    def _shown(self, side: str, number: int, images: Tensor) -> Tensor:
        """Scaled images as the critic sees them."""
        return self._setup.augmented(images, "scaled", side, number)

    def real(self, number: int) -> tuple[Tensor, Tensor]:
        """The scaled real images of a critic update, before the augmentations of scaled images, and their labels."""
        setup = self._setup
        pixels, labels = setup.batches.at(number)
        return setup.scale(setup.augmented(pixels, "pixels", "real", number)), labels

    def entering(self, count: int, player: str, number: int) -> tuple[Tensor, ...]:
        """What `count` generated images of a player's update are made of, on the device; asked again, the same."""
        generator = cast("Generates", self.generator)
        drawn = generator.entering(count, self._setup.key.of("noise", player, number))
        return tuple(part.to(self._device, non_blocking=True) for part in drawn)

    def inputs(self, number: int) -> dict[str, tuple[Tensor, ...]]:
        """What enters the generator in its update, and the real images of a critic update with their labels."""
        entering = self.entering(self._options.generator_batch, "generator", number)
        return {"generator": entering, "critic": self.real(number)}

    def losses(self, networks: Mapping[str, nn.Module], number: int) -> dict[str, Tensor]:
        """Both players' own losses, for a given generator and critic; regularisers add nothing here."""
        generator, critic = networks["generator"], networks["critic"]
        players = Players(generator, critic, fed(generator), fed(critic))
        with self._setup.precision():
            return {
                "generator": self._generator_turn(players, number).loss,
                "critic": self._critic_turn(players, number).loss,
            }

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
