"""How many weights are kept after each round, in exact integer arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketlab.spec.drawing import Schedule
    from ticketlab.spec.masked import LayerKind


def kept_after(schedule: Schedule, rounds_done: int, size: int, kind: LayerKind | None = None) -> int:
    """How many of `size` weights that share one budget are kept after `rounds_done` of `schedule.rounds` rounds.

    `kind` is needed by schedules that treat conv and linear apart; a kind that such a schedule leaves out stays dense.
    With `rate`, each round prunes round-half-even(rate * remaining) (the rule of torch's global unstructured pruning,
    Chen et al. 2021, arXiv 2106.00134). With `density` rho, `size - trunc((1 - rho_r) * size)` are kept, where rho_r is
    rho ** (r / R) or 1 - (1 - rho) * r / R (Tanaka et al. 2020, arXiv 2006.05467). Shares are the decimal numbers that
    were written, not their binary neighbours. ValueError for a round that the schedule does not have.
    """
    if not 0 <= rounds_done <= schedule.rounds:
        raise ValueError(f"round {rounds_done} of a schedule of {schedule.rounds}")
    if schedule.rate is not None:
        rate = schedule.rate if isinstance(schedule.rate, float) else getattr(schedule.rate, _named(kind))
        return size if rate is None else _kept_by_rate(Fraction(str(rate)), rounds_done, size)
    assert schedule.density is not None
    density = schedule.density if isinstance(schedule.density, float) else getattr(schedule.density, _named(kind))
    if density is None:
        return size
    goal = Fraction(str(density))
    if schedule.spacing == "linear":
        return math.ceil(size * (1 - (1 - goal) * Fraction(rounds_done, schedule.rounds)))
    return _ceil_of_power(size, goal, rounds_done, schedule.rounds)


def _named(kind: LayerKind | None) -> str:
    assert kind is not None, "a schedule by kind needs groups of one kind"
    return kind


def _kept_by_rate(rate: Fraction, rounds_done: int, size: int) -> int:
    for _ in range(rounds_done):
        size -= round(rate * size)
    return size


def _ceil_of_power(size: int, goal: Fraction, numerator: int, denominator: int) -> int:
    """ceil(size * goal ** (numerator / denominator)), decided in integers where floating point cannot decide."""
    estimate = size * math.pow(goal, numerator / denominator)
    nearest = round(estimate)
    if abs(estimate - nearest) > 1e-12 * size:
        return math.ceil(estimate)
    reached: bool = nearest**denominator * goal.denominator**numerator >= size**denominator * goal.numerator**numerator
    return nearest if reached else nearest + 1
