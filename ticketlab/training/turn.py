"""One player's turn: all that its loss was computed of, as what is added to the loss sees it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from ticketlab.randomness import Key


@dataclass(frozen=True)
class AdversarialLoss:
    """The two players' losses as functions of critic scores (B, 1): the critic's of real and fake, the generator's of fake."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Judged:
    """Images (B, C, S, S) in the critic's eyes: as they are, as `shown` to it (augmented), and their scores (B, 1).

    `labels` are given with real images, and with images of a conditional generator. `features` (B, D), of which the head
    made the scores, are there where a regulariser asks for that part of the critic, else None.
    """

    images: Tensor
    shown: Tensor
    labels: Tensor | None
    features: Tensor | None
    scores: Tensor


@dataclass(frozen=True)
class Turn:
    """What either player's loss was computed of.

    Scores and `loss` are in single precision at least, in graphs that reach the player's weights; those of the other
    player get no gradient. Forwards go through the networks in `generator` and `critic`, in training mode, which have the
    parts that `needs_parts` names; they move running statistics and spectral vectors unless inside `unmoved_state`
    (ticketlab/models/unmoved.py). The function runs inside `precision`; a forward in single precision leaves it by
    `torch.autocast(..., enabled=False)`. Random draws are addressed by `key`, which no other turn has. `show(images)` gives
    generated images as the critic sees them in this turn, by the same draws of the augmentations whenever it is called.
    """

    number: int
    generator: nn.Module
    critic: nn.Module
    losses: AdversarialLoss
    entering: tuple[Tensor, ...]
    fake: Judged
    loss: Tensor
    show: Callable[[Tensor], Tensor]
    key: Key
    precision: Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class CriticTurn(Turn):
    """The critic's turn: real images, and generated ones that have no graph."""

    real: Judged


@dataclass(frozen=True)
class GeneratorTurn(Turn):
    """The generator's turn; `grid` is what its `project` made, where a regulariser asks for that part, else None."""

    grid: Tensor | None


Term = Callable[[Turn], Tensor]
"""What is added to a player's loss: a scalar."""
