"""A pruning method at work on weights, round after round: what it is offered, its scores, the next mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ticketlab.tickets.draw import draw_round
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scoring import score
from ticketlab.tickets.subject import Subject

if TYPE_CHECKING:
    from ticketlab.models.prunable import PrunableWeight
    from ticketlab.randomness import Key
    from ticketlab.spec.drawing import Drawn

Offers = Callable[[Mask, int], dict[str, Any]]
"""From the mask of the last round and the number of this one to the fields of a `Subject` beside weights, mask, key and memory."""


@dataclass(frozen=True)
class Pruner:
    """The method of `options` on live weights, which it only reads; rounds are numbered from 1, and `memory` lasts for all.

    Random draws of round r are those of `key.of("draw", r)`.
    """

    options: Drawn
    weights: Mapping[str, PrunableWeight]
    offered: Offers
    key: Key
    memory: dict[str, Any] = field(default_factory=dict)

    def dense(self) -> Mask:
        """The mask before the first round."""
        return Mask.dense({layer: tuple(weight.parameter.shape) for layer, weight in self.weights.items()})

    def scores(self, mask: Mask, number: int) -> dict[str, Tensor]:
        """The scores of a round, under the mask of the one before; errors as of `ticketlab.tickets.scoring.score`."""
        subject = Subject(
            weights={layer: weight.parameter.detach() for layer, weight in self.weights.items()},
            mask=mask,
            key=self.key.of("draw", number),
            memory=self.memory,
            **self.offered(mask, number),
        )
        return score(self.options, subject)

    def kept(self, scores: Mapping[str, Tensor], mask: Mask, number: int) -> Mask:
        """The mask after a round with these scores; errors as of `ticketlab.tickets.draw.draw_round`."""
        kinds = {layer: weight.kind for layer, weight in self.weights.items()}
        return draw_round(self.options, scores, kinds, mask, number)

    def tightened(self, mask: Mask, number: int) -> Mask:
        """The mask after a round."""
        return self.kept(self.scores(mask, number), mask, number)
