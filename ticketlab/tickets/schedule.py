"""How many weights are kept after each round: in exact integer arithmetic, or as released code counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketlab.spec.drawing import Schedule
    from ticketlab.spec.masked import LayerKind

    Count = Callable[[Schedule, int, int, LayerKind | None], int]
    """How many of so many weights of a kind are kept after a round of a schedule."""


def kept_after(schedule: Schedule, rounds_done: int, size: int, kind: LayerKind | None = None) -> int:
    """How many of `size` weights that share one budget are kept after `rounds_done` of `schedule.rounds` rounds.

    `kind` is needed by schedules that treat conv and linear apart; a kind that such a schedule leaves out stays dense.
    With `rate`, each round prunes round-half-even(rate * remaining) (the rule of torch's global unstructured pruning,
    Chen et al. 2021, arXiv 2106.00134). With `density` rho, `size - trunc((1 - rho_r) * size)` are kept, where rho_r is
    rho ** (r / R) or 1 - (1 - rho) * r / R (Tanaka et al. 2020, arXiv 2006.05467). Shares are the decimal numbers that
    were written, not their binary neighbours. ValueError for a round that the schedule does not have.
    """
    share = _share(schedule, rounds_done, kind)
    if share is None:
        return size
    exact = Fraction(str(share))
    if schedule.rate is not None:
        return _kept_by_rate(exact, rounds_done, size)
    if schedule.spacing == "linear":
        return math.ceil(size * (1 - (1 - exact) * Fraction(rounds_done, schedule.rounds)))
    return _ceil_of_power(size, exact, rounds_done, schedule.rounds)


def kept_as_released(schedule: Schedule, rounds_done: int, size: int, kind: LayerKind | None) -> int:
    """`kept_after` a density in the floating point of the code released with SynFlow, NTK-SAP and PX.

    A product that falls short of a whole number loses one: of 3960 weights at density 0.9 this prunes 395, not 396. That
    code has no rate; with one it is `kept_after`.
    """
    share = _share(schedule, rounds_done, kind)
    if share is None or schedule.rate is not None:
        return kept_after(schedule, rounds_done, size, kind)
    done = rounds_done / schedule.rounds
    density = 1.0 - (1.0 - share) * done if schedule.spacing == "linear" else share**done
    return size - int((1.0 - density) * size)


def kept_above_percentile(schedule: Schedule, rounds_done: int, size: int, kind: LayerKind | None) -> int:
    """How many of `size` different numbers exceed their percentile 100 (1 - rho_r), linearly interpolated.

    It lies at place (1 - rho_r) (size - 1) of the sorted numbers, counted from 0, and all up to it go: one at least, at
    density 1 too. In exact arithmetic.
    """
    if _share(schedule, rounds_done, kind) is None:
        return size
    return kept_after(schedule, rounds_done, size - 1, kind)


def _share(schedule: Schedule, rounds_done: int, kind: LayerKind | None) -> float | None:
    """The rate or density for a kind of layer; None for a kind that stays dense."""
    if not 0 <= rounds_done <= schedule.rounds:
        raise ValueError(f"round {rounds_done} of a schedule of {schedule.rounds}")
    shares = schedule.rate if schedule.rate is not None else schedule.density
    if isinstance(shares, float):
        return shares
    assert kind is not None, "a schedule by kind needs groups of one kind"
    share: float | None = getattr(shares, kind)
    return share


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
