"""The Inception Score formula against its extremes and a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ticketlab.errors import DataError
from ticketlab.metrics.inception_score import inception_score


def by_loops(logits: np.ndarray, splits: int) -> tuple[float, float]:
    n, scores = len(logits), []
    for i in range(splits):
        rows = logits[i * n // splits : (i + 1) * n // splits]
        shares = [[math.exp(v) / sum(map(math.exp, row)) for v in row] for row in rows]
        marginal = [sum(column) / len(rows) for column in zip(*shares, strict=True)]
        divergence = [sum(p * math.log(p / q) for p, q in zip(row, marginal, strict=True)) for row in shares]
        scores.append(math.exp(sum(divergence) / len(rows)))
    mean = sum(scores) / splits
    return mean, math.sqrt(sum((score - mean) ** 2 for score in scores) / splits)


@pytest.mark.parametrize(("n", "splits"), [(20, 1), (20, 4), (23, 10)])
def test_it_is_the_formula(n: int, splits: int) -> None:
    logits = np.random.default_rng(n).standard_normal((n, 5)) * 3
    assert inception_score(logits, splits) == pytest.approx(by_loops(logits, splits), rel=1e-12)


def test_certain_and_balanced_predictions_score_the_number_of_classes() -> None:
    logits = np.tile(np.eye(7) * 2000, (10, 1))
    assert inception_score(logits, 1) == pytest.approx((7, 0))


def test_equal_predictions_score_one() -> None:
    assert inception_score(np.tile([3.0, -1.0, 900.0], (30, 1)), 3) == pytest.approx((1, 0))


def test_one_split_has_no_spread_and_too_many_are_refused() -> None:
    assert inception_score(np.random.default_rng(0).standard_normal((9, 4)), 1)[1] == 0
    with pytest.raises(DataError, match="10 splits"):
        inception_score(np.zeros((9, 4)), 10)
