"""One round of drawing: schedule x scope x scores, composed into the next mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from ticketlab.tickets.mask import Mask
from ticketlab.tickets.schedule import is_by_kind, kept_after
from ticketlab.tickets.scope import groups
from ticketlab.tickets.select import keep_highest

if TYPE_CHECKING:
    from ticketlab.spec.ticket import Drawn, LayerKind


def draw_round(
    options: Drawn, scores: Mapping[str, Tensor], kinds: Mapping[str, LayerKind], previous: Mask | None, round: int
) -> Mask:
    """The mask after round `round` (1 .. `options.schedule.rounds`): the survivors of `previous` that score highest.

    `scores` and `kinds` name every prunable layer; the order of `kinds` is the order of the mask and of ties.
    `previous` None is the dense mask. The kept count of every group is exactly the schedule's, and the result lies
    within `previous`. ValueError if the names differ, or if `previous` keeps fewer weights than the schedule asks for.
    """
    if scores.keys() != kinds.keys() or (previous is not None and previous.keys() != kinds.keys()):
        raise ValueError("scores, kinds and the previous mask do not name the same layers")
    by_kind = is_by_kind(options.schedule)
    kept: dict[str, Tensor] = {}
    for group in groups(kinds, options.scope, by_kind):
        size = sum(scores[layer].numel() for layer in group)
        keep = kept_after(options.schedule, round, size, kinds[group[0]] if by_kind else None)
        kept |= keep_highest({layer: scores[layer] for layer in group}, keep, previous)
    return Mask({layer: kept[layer] for layer in kinds})


def layer_collapse(mask: Mask) -> list[str]:
    """The layers of which nothing is left, in the mask's order: the network can no longer learn through them."""
    return [layer for layer, kept in mask.layer_kept().items() if kept == 0]
