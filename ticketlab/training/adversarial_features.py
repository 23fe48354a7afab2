"""Adversarial feature augmentation: half of each player's loss is taken on features moved against that player.

Source: Chen et al. 2021, arXiv 2103.00397 (AdvAug). With h the features of a batch and s the critic's score of them,
h' = h + delta, delta = the sum of `steps` steps gamma * sign(grad mean s(h + delta so far)), each feature by itself, no
projection and no random start; the loss becomes L(s(h)) / 2 + L(s(h')) / 2. Gradients reach h through h' unchanged: delta
is a constant. The critic's h is what its head is given, the generator's the grid that its noise is projected to.

What the released code does otherwise, and what is done here: it moves all features up in score, which helps the critic on
reals and the generator (here each is moved against its player; `direction: reference` has the old way); its search moves
running statistics and spectral vectors (nothing does here); in one of its loops perturbed images reach the critic
without augmentation, in another reals are searched with other numbers than fakes, in a third no step is taken by default.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from ticketlab.models.unmoved import unmoved_state
from ticketlab.training.setup import widened
from ticketlab.training.turn import CriticTurn, GeneratorTurn, Judged, Turn

if TYPE_CHECKING:
    from ticketlab.models.parts import Grows, Judges
    from ticketlab.spec.regulariser import AdversarialFeatures

UP, DOWN = 1.0, -1.0


def term(options: AdversarialFeatures, turn: Turn) -> Tensor:
    """Half of what the player's loss is higher on perturbed features than on its own."""
    if options.gamma == 0:
        return torch.zeros_like(turn.loss)
    released = options.direction == "reference"
    with nullcontext() if released else unmoved_state(turn.generator, turn.critic):
        perturbed = _critic_loss(options, turn) if isinstance(turn, CriticTurn) else _generator_loss(options, turn)
    return (perturbed - turn.loss) / 2


def _critic_loss(options: AdversarialFeatures, turn: CriticTurn) -> Tensor:
    head = cast("Judges", turn.critic).head

    def scores(judged: Judged, way: float) -> Tensor:
        assert judged.features is not None, "the loop takes the critic apart for who needs its parts"
        features = widened(judged.features)
        # Steps are small beside features: half precision would round them away.
        with torch.autocast(features.device.type, enabled=False):
            return head(moved(features, lambda moving: head(moving, judged.labels), way, options), judged.labels)

    return turn.losses.critic(widened(scores(turn.real, DOWN)), widened(scores(turn.fake, UP)))


def _generator_loss(options: AdversarialFeatures, turn: Turn) -> Tensor:
    assert isinstance(turn, GeneratorTurn)
    assert turn.grid is not None, "the loop takes the generator apart for who needs its parts"
    grow = cast("Grows", turn.generator).grow

    def scores(grid: Tensor) -> Tensor:
        found: Tensor = turn.critic(turn.show(grow(grid, *turn.entering)), turn.fake.labels)
        return found

    return turn.losses.generator(widened(scores(moved(widened(turn.grid), scores, DOWN, options))))


def moved(features: Tensor, scores: Callable[[Tensor], Tensor], way: float, options: AdversarialFeatures) -> Tensor:
    """Features after signed steps `way` (UP or DOWN) in the mean of their scores; their gradients pass to `features` as they are."""
    way = UP if options.direction == "reference" else way
    still = features.detach()
    shift = torch.zeros_like(still)
    for _ in range(options.steps):
        here = (still + shift).requires_grad_()
        (slope,) = torch.autograd.grad(widened(scores(here)).mean(), here)
        shift = shift + way * options.gamma * slope.sign()
    return features + shift
