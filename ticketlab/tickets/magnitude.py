"""Magnitude pruning: keep the weights of largest absolute value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ticketlab.spec.ticket import Magnitude
    from ticketlab.tickets.subject import Subject


def scores(options: Magnitude, subject: Subject) -> dict[str, Tensor]:
    """|w| of each weight given; `options.rank` chose which those are (Frankle and Carbin 2019, arXiv 1803.03635)."""
    return {name: weight.detach().abs() for name, weight in subject.weights.items()}
