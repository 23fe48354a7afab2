"""Precision, recall, density and coverage from nearest-neighbour balls, with exact counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ticketlab.errors import DataError
from ticketlab.metrics.names import PRDC
from ticketlab.randomness import Key

if TYPE_CHECKING:
    from ticketlab.metrics.evidence import Sampled
    from ticketlab.spec import metric

ROWS_AT_ONCE = 1024

REAL_SAMPLE = Key(0).of("metrics", "prdc", "real")
"""One draw for all runs: every cell of a matrix is compared with the same real images."""


class Prdc(NamedTuple):
    """The four shares; all but `density` lie in [0, 1], higher is better."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: ArrayLike, generated: ArrayLike, k: int = 5) -> Prdc:
    """How generated features (n, d) and real features (m, d) lie in each other's nearest-neighbour balls.

    The ball of a point is open and reaches to its k-th nearest neighbour in its own set, itself left out. Precision:
    share of generated points in some real ball; recall: share of real points in some generated ball; density: real
    balls per generated point over k (may exceed 1); coverage: share of real balls that hold a generated point.
    A generator that repeats one image has balls of radius 0, which hold nothing. DataError if a set has fewer than
    k + 1 points.

    Naeem et al. 2020, arXiv 2002.09797, eqs. 3-7 (strict comparison, as in their code).
    """
    x, y = (torch.from_numpy(np.asarray(points, dtype=np.float64)) for points in (real, generated))
    if min(len(x), len(y)) <= k:
        raise DataError(
            f"{k} nearest neighbours need more than {k} points, found {len(x)} real and {len(y)} generated ones",
            mend="fewer neighbours, or a higher evaluate.samples",
        )
    in_real = _balls_that_hold(y, x, neighbour_radii(x, k))
    in_generated = _balls_that_hold(x, y, neighbour_radii(y, k))
    return Prdc(
        precision=_share(in_real.held_by > 0),
        recall=_share(in_generated.held_by > 0),
        density=int(in_real.held_by.sum()) / (k * len(y)),
        coverage=_share(in_real.holds_some),
    )


def measured(options: metric.Prdc, evidence: Sampled) -> dict[str, float]:
    """The four shares of the samples among as many real images."""
    real = sampled(evidence.real_features, len(evidence.features))
    return dict(zip(PRDC, prdc(real, evidence.features, options.neighbours), strict=True))


def sampled(real_features: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """At most `most` rows of `real_features`: the first of a fixed keyed permutation, or all of them in order.

    Precision and recall depend on both sample sizes, so real images must not outnumber generated ones.
    """
    if len(real_features) <= most:
        return real_features
    order = torch.randperm(len(real_features), generator=REAL_SAMPLE.generator())
    return np.take(real_features, order[:most].numpy(), axis=0)


def neighbour_radii(points: Tensor, k: int) -> Tensor:
    """Distance (n,) of each of `points` (n, d) to its k-th nearest other point."""
    slack = _slack(points, points)
    radii = torch.empty(len(points), dtype=torch.float64)
    reach = min(k + 2, len(points))
    for start in range(0, len(points), ROWS_AT_ONCE):
        rows = points[start : start + ROWS_AT_ONCE]
        squared, nearest = _squared_roughly(rows, points).topk(reach, largest=False)
        candidates = points[nearest[:, : k + 1]]
        exact = torch.cdist(rows[:, None], candidates, compute_mode="donot_use_mm_for_euclid_dist")[:, 0].amax(1)
        if reach > k + 1:
            unsure = (squared[:, k + 1] - squared[:, k] <= slack).nonzero()[:, 0]
            exact[unsure] = _exactly(rows[unsure], points).topk(k + 1, largest=False).values[:, k]
        radii[start : start + len(rows)] = exact
    return radii


class _Holding(NamedTuple):
    held_by: Tensor
    holds_some: Tensor


def _balls_that_hold(points: Tensor, centres: Tensor, radii: Tensor) -> _Holding:
    """For each point the number of balls that hold it (int64), for each ball whether it holds a point (bool)."""
    slack = _slack(points, centres)
    held_by = torch.empty(len(points), dtype=torch.int64)
    holds_some = torch.zeros(len(centres), dtype=torch.bool)
    for start in range(0, len(points), ROWS_AT_ONCE):
        rows = points[start : start + ROWS_AT_ONCE]
        gap = radii.square() - _squared_roughly(rows, centres)
        inside = gap > 0
        unsure = (gap.abs() <= slack).any(1).nonzero()[:, 0]
        inside[unsure] = _exactly(rows[unsure], centres) < radii
        held_by[start : start + len(rows)] = inside.sum(1)
        holds_some |= inside.any(0)
    return _Holding(held_by, holds_some)


def _squared_roughly(rows: Tensor, points: Tensor) -> Tensor:
    """Squared distances by a matrix product: ten times faster than `_exactly`, right to within `_slack`."""
    return torch.addmm(points.square().sum(1)[None] + rows.square().sum(1)[:, None], rows, points.T, alpha=-2)


def _exactly(rows: Tensor, points: Tensor) -> Tensor:
    """Distances from differences: exactly 0 for equal points and exactly symmetric, which ties are decided by."""
    return torch.cdist(rows, points, compute_mode="donot_use_mm_for_euclid_dist")


def _slack(a: Tensor, b: Tensor) -> float:
    """A bound on the error of `_squared_roughly`: 8 (d + 8) eps times the largest squared norm of a sum."""
    largest = float(a.norm(dim=1).max() + b.norm(dim=1).max()) ** 2
    return 8 * (a.shape[1] + 8) * torch.finfo(torch.float64).eps * largest


def _share(hits: Tensor) -> float:
    return int(hits.sum()) / len(hits)
