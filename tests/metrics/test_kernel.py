"""The kernel distance against double loops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ticketlab.errors import DataError
from ticketlab.metrics import kernel
from ticketlab.metrics.kernel import kernel_distance

Array = NDArray[np.float64]


def cloud(n: int, d: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d)) + seed


def by_double_loop(x: Array, y: Array) -> float:
    def k(a: Array, b: Array) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    m, n = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_y = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


@pytest.mark.parametrize(("m", "n", "d"), [(2, 2, 1), (9, 9, 4), (7, 12, 3)])
def test_it_is_the_double_loop(m: int, n: int, d: int) -> None:
    x, y = cloud(m, d, 0), cloud(n, d, 1)
    assert kernel_distance(x, y) == pytest.approx(by_double_loop(x, y), rel=1e-12)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = cloud(23, 4, 0), cloud(17, 4, 1)
    whole = kernel_distance(x, y)
    monkeypatch.setattr(kernel, "ROWS_AT_ONCE", 5)
    assert kernel_distance(x, y) == pytest.approx(whole, rel=1e-12)


def test_a_set_against_itself_is_negative_and_not_clipped() -> None:
    x = cloud(20, 3, 0)
    assert kernel_distance(x, x) < 0
    assert kernel_distance(x, x) == pytest.approx(by_double_loop(x, x), rel=1e-12)


def test_it_is_unbiased_over_sets_of_one_law() -> None:
    draws = np.random.default_rng(2)
    values = [kernel_distance(draws.standard_normal((5, 2)), draws.standard_normal((8, 2))) for _ in range(4000)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_it_is_symmetric_and_does_not_depend_on_the_order_of_rows() -> None:
    x, y = cloud(11, 3, 0), cloud(13, 3, 1)
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(y, x), rel=1e-12)
    assert kernel_distance(x[::-1], y) == pytest.approx(kernel_distance(x, y), rel=1e-12)


def test_sets_that_are_too_small_or_of_other_dimension_are_refused() -> None:
    with pytest.raises(DataError, match="at least two"):
        kernel_distance(cloud(1, 3, 0), cloud(5, 3, 0))
    with pytest.raises(DataError, match="dimensions"):
        kernel_distance(cloud(5, 3, 0), cloud(5, 4, 0))
