"""Ask a pruning method for its scores, and check what it says."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import torch

from ticketlab.errors import Diverged, TicketlabError
from ticketlab.made import made
from ticketlab.models.batch_of_one import needing_two
from ticketlab.tickets.layout import memory_axes
from ticketlab.tickets.scope import of_each_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from ticketlab.spec.drawing import Drawn
    from ticketlab.tickets.subject import Subject


@needing_two("ticket.probe.batch")
def score(options: Drawn, subject: Subject) -> dict[str, Tensor]:
    """The scores of the method that `options` names, on the CPU, in the order of `subject.weights`.

    Raises TicketlabError if the method cannot be imported, returns other names, shapes or number types than the weights
    have, tells no weight of a dense network from the others of its layer, or cannot do with batches of one; Diverged, naming the layer, if a score is
    not finite.
    """
    answer: Mapping[str, Tensor] = made(options.made_by)(options, subject)
    if answer.keys() != subject.weights.keys():
        odd = ", ".join(sorted(answer.keys() ^ subject.weights.keys()))
        raise TicketlabError(
            f"the scores do not name the layers of the weights; they differ in {odd}",
            where=options.made_by,
            mend="return one tensor for every layer of `subject.weights`, under its name",
        )
    scores = {name: _checked(name, answer[name], weight, options.made_by) for name, weight in subject.weights.items()}
    for network, layers in of_each_network(scores).items():
        # Of a network that earlier rounds have cut through, nothing is to be told: a collapse that was reported.
        if all(bool(subject.mask[layer].all()) and _is_constant(scores[layer]) for layer in layers):
            raise TicketlabError(
                f"all scores within each layer of the {network} are equal: the ticket would go by the order of the weights",
                where=options.made_by,
                mend="images or initial values that differ from each other, or another method",
            )
    return scores


def _is_constant(score: Tensor) -> bool:
    lowest, highest = torch.aminmax(score.permute(memory_axes(score)))
    return bool(lowest == highest)


def _checked(name: str, score: Tensor, weight: Tensor, made_by: str) -> Tensor:
    if score.shape != weight.shape or not score.is_floating_point():
        raise TicketlabError(
            f"{name}: {score.dtype} scores of shape {tuple(score.shape)} for weights of shape {tuple(weight.shape)}",
            where=made_by,
            mend="return floating-point scores of the shape of the weights, one for each weight",
        )
    score = score.detach().cpu()
    # What is not finite is among the extremes; looking for them makes no tensor as large as the weights.
    if not all(map(isfinite, map(float, torch.aminmax(score.permute(memory_axes(score)))))):
        raise Diverged(f"{name}: a score is not finite", where=made_by)
    return score
