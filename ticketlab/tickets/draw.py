"""One round of drawing: schedule x scope x structure x scores, composed into the next mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scope import Layer, budgets
from ticketlab.tickets.structure import structure

if TYPE_CHECKING:
    from ticketlab.spec.drawing import Drawn
    from ticketlab.spec.masked import LayerKind


def draw_round(
    options: Drawn, scores: Mapping[str, Tensor], kinds: Mapping[str, LayerKind], previous: Mask | None, round: int
) -> Mask:
    """The mask after round `round` (1 .. `options.schedule.rounds`): the survivors of `previous` that score highest.

    `scores` and `kinds` name every prunable layer; the order of `kinds` is the order of the mask and of ties.
    `previous` None is the dense mask. The kept count of every budget is exactly the schedule's (for structures, as close
    below as whole units or ties come), and the result lies within `previous`. ValueError if the names differ, or if `previous`
    keeps fewer weights than the schedule asks for.
    """
    if scores.keys() != kinds.keys() or (previous is not None and previous.keys() != kinds.keys()):
        raise ValueError("scores, kinds and the previous mask do not name the same layers")
    before = previous or Mask.dense({layer: tuple(score.shape) for layer, score in scores.items()})
    left = before.layer_kept()
    layers = {layer: Layer(kind, tuple(scores[layer].shape), left[layer]) for layer, kind in kinds.items()}
    selection = structure(options.structure)
    kept: dict[str, Tensor] = {}
    for budget in budgets(options.scope, layers, options.schedule, round):
        kept |= selection.select({layer: scores[layer] for layer in budget.layers}, budget.keep, before)
    return Mask({layer: kept[layer] for layer in kinds})


def layer_collapse(mask: Mask) -> list[str]:
    """The layers of which nothing is left, in the mask's order: the network can no longer learn through them."""
    return [layer for layer, kept in mask.layer_kept().items() if kept == 0]
