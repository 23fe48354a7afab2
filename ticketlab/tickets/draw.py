"""One round of drawing: schedule x scope x structure x scores, composed into the next mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from ticketlab.errors import Shortfall
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scope import Layer, budgets
from ticketlab.tickets.structure import structure

if TYPE_CHECKING:
    from ticketlab.spec.drawing import Drawn
    from ticketlab.spec.masked import LayerKind

TOLERATED = 4
"""So many weights fewer than asked are a ticket still, of a rule that prunes equal scores together; released code
gives up at five."""


def draw_round(
    options: Drawn, scores: Mapping[str, Tensor], kinds: Mapping[str, LayerKind], previous: Mask | None, round: int
) -> Mask:
    """The mask after round `round` (1 .. `options.schedule.rounds`): the survivors of `previous` that score highest.

    `scores` and `kinds` name every prunable layer; the order of `kinds` is the order of the mask and of ties.
    `previous` None is the dense mask. The kept count of every budget is exactly the schedule's, counted as the structure
    counts (or as close below as whole units or ties come), and the result lies within `previous`. A structure that rebuilds its mask chooses
    among all weights instead, whatever `previous` keeps. ValueError if the names differ, or if `previous` keeps fewer
    weights than the schedule asks for; Shortfall if such a mask of the last round keeps at least five fewer than asked.
    """
    if scores.keys() != kinds.keys() or (previous is not None and previous.keys() != kinds.keys()):
        raise ValueError("scores, kinds and the previous mask do not name the same layers")
    selection = structure(options.structure)
    before = None if selection.rebuilds else previous
    if before is None:
        before = Mask.dense({layer: tuple(score.shape) for layer, score in scores.items()})
    left = before.layer_kept()
    layers = {layer: Layer(kind, tuple(scores[layer].shape), left[layer]) for layer, kind in kinds.items()}
    kept: dict[str, Tensor] = {}
    asked = budgets(options.scope, layers, options.schedule, round, selection.count)
    for budget in asked:
        kept |= selection.select({layer: scores[layer] for layer in budget.layers}, budget.keep, before)
    drawn = Mask({layer: kept[layer] for layer in kinds})
    if selection.rebuilds and round == options.schedule.rounds:
        _refuse_shortfall(options, sum(budget.keep for budget in asked), drawn.kept)
    return drawn


def _refuse_shortfall(options: Drawn, asked: int, kept: int) -> None:
    """Rounds before the last may fall short: many equal scores at a low threshold are few at a higher one."""
    if asked - kept > TOLERATED:
        raise Shortfall(
            f"`{options.structure.name}` keeps {kept} weights after the last round, {asked} are asked for: too many "
            f"scores of `{options.name}` equal the threshold, and all that do are pruned",
            where="ticket.structure",
            mend="structure: weights, which keeps exactly as many",
        )


def layer_collapse(mask: Mask) -> list[str]:
    """The layers of which nothing is left, in the mask's order: the network can no longer learn through them."""
    return [layer for layer, kept in mask.layer_kept().items() if kept == 0]
