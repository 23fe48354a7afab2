"""Precision, recall, density and coverage against counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ticketlab.errors import DataError
from ticketlab.metrics import prdc as module
from ticketlab.metrics.prdc import neighbour_radii, prdc

Array = NDArray[np.float64]


def by_counting(real: Array, generated: Array, k: int) -> tuple[float, float, float, float]:
    def radius(points: Array, i: int) -> float:
        return sorted(math.dist(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]

    m, n = len(real), len(generated)
    in_real = [[math.dist(y, x) < radius(real, i) for i, x in enumerate(real)] for y in generated]
    in_generated = [[math.dist(x, y) < radius(generated, j) for j, y in enumerate(generated)] for x in real]
    return (
        sum(any(balls) for balls in in_real) / n,
        sum(any(balls) for balls in in_generated) / m,
        sum(map(sum, in_real)) / (k * n),
        sum(any(balls[i] for balls in in_real) for i in range(m)) / m,
    )


def cloud(n: int, d: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d))


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 14), st.integers(4, 14), st.integers(1, 5), st.integers(1, 3), st.integers(0, 10**6))
def test_generic_points_give_the_counts_of_the_double_loop(m: int, n: int, d: int, k: int, seed: int) -> None:
    real, generated = cloud(m, d, seed), cloud(n, d, seed + 1)
    assert prdc(real, generated, k) == pytest.approx(by_counting(real, generated, k), rel=1e-14)


@settings(max_examples=100, deadline=None)
@given(st.integers(4, 14), st.integers(4, 14), st.integers(1, 3), st.integers(1, 3), st.integers(0, 10**6))
def test_ties_and_duplicates_are_decided_exactly(m: int, n: int, d: int, k: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    real = draws.integers(0, 3, (m, d)).astype(float)
    generated = draws.integers(0, 3, (n, d)).astype(float)
    assert prdc(real, generated, k) == pytest.approx(by_counting(real, generated, k), rel=1e-14)


def test_ties_far_from_the_origin_are_decided_exactly_in_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    real = cloud(30, 16, 0) + 1e4
    generated = np.concatenate([real[:10], real[:10], cloud(9, 16, 1) + 1e4])
    assert prdc(real, generated, 3) == pytest.approx(by_counting(real, generated, 3), rel=1e-14)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_set_against_itself_is_perfect(k: int) -> None:
    points = cloud(40, 7, 2)
    assert prdc(points, points, k) == (1.0, 1.0, 1.0, 1.0)


def test_a_generator_that_repeats_one_image_recalls_nothing() -> None:
    real = cloud(50, 5, 3)
    far, near = np.full((50, 5), 100.0), np.repeat(real[:1] + 1e-3, 50, axis=0)
    assert prdc(real, far) == (0, 0, 0, 0)
    collapsed = prdc(real, near)
    assert (collapsed.precision, collapsed.recall) == (1, 0)
    assert collapsed == pytest.approx(by_counting(real, near, 5), rel=1e-14)


def test_exchanging_the_sets_exchanges_precision_and_recall() -> None:
    real, generated = cloud(30, 4, 4), cloud(25, 4, 5) * 0.5
    there, back = prdc(real, generated, 3), prdc(generated, real, 3)
    assert (there.precision, there.recall) == (back.recall, back.precision)


def test_the_radius_is_that_of_the_kth_other_point() -> None:
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]], dtype=torch.float64)
    assert neighbour_radii(line, 1).tolist() == [1, 1, 2, 4]
    assert neighbour_radii(line, 2).tolist() == [3, 2, 3, 6]
    assert neighbour_radii(line, 3).tolist() == [7, 6, 4, 7]


def test_radii_survive_an_offset_that_swamps_the_matrix_product() -> None:
    points = torch.from_numpy(cloud(60, 6, 6)) + 1e8
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.equal(neighbour_radii(points, 3), distances.sort(1).values[:, 3])


def test_more_neighbours_than_points_are_refused() -> None:
    with pytest.raises(DataError, match="more than 5 points"):
        prdc(cloud(5, 2, 0), cloud(9, 2, 1), 5)
