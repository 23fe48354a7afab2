"""The Frechet distance against closed forms and independent formulas."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ticketlab.errors import DataError
from ticketlab.metrics.frechet import frechet_distance
from ticketlab.metrics.statistics import Statistics

Array = NDArray[np.float64]


def gaussian(mu: Array, sigma: Array) -> Statistics:
    return Statistics(mu, sigma, 100, "e", "p")


def fitted(features: Array) -> Statistics:
    return Statistics.from_features(features, extractor="e", pipeline="p")


def mixed(n: int, d: int, seed: int) -> Array:
    draws = np.random.default_rng(seed)
    return draws.standard_normal((n, d)) @ draws.standard_normal((d, d)) + draws.standard_normal(d)


def by_square_root(a: Statistics, b: Statistics) -> float:
    root = scipy.linalg.sqrtm(a.sigma @ b.sigma).real
    return float(((a.mu - b.mu) ** 2).sum() + np.trace(a.sigma + b.sigma - 2 * root))


def by_nuclear_norm(x: Array, y: Array) -> float:
    """The distance from the features themselves, without any covariance root."""
    x_centred, y_centred = x - x.mean(0), y - y.mean(0)
    overlap = np.linalg.norm(x_centred @ y_centred.T, "nuc") / np.sqrt((len(x) - 1) * (len(y) - 1))
    spread = (x_centred**2).sum() / (len(x) - 1) + (y_centred**2).sum() / (len(y) - 1)
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + spread - 2 * overlap)


@given(
    st.floats(-100, 100),
    st.floats(-100, 100),
    st.floats(0, 100),
    st.floats(0, 100),
)
def test_in_one_dimension_it_is_the_squared_difference_of_means_and_of_deviations(
    m1: float, m2: float, s1: float, s2: float
) -> None:
    a = gaussian(np.array([m1]), np.array([[s1**2]]))
    b = gaussian(np.array([m2]), np.array([[s2**2]]))
    assert frechet_distance(a, b) == pytest.approx((m1 - m2) ** 2 + (s1 - s2) ** 2, rel=1e-9, abs=1e-9)


def test_commuting_covariances_have_a_closed_form() -> None:
    draws = np.random.default_rng(0)
    basis = np.linalg.qr(draws.standard_normal((12, 12)))[0]
    w1, w2 = draws.uniform(0.1, 9, 12), draws.uniform(0.1, 9, 12)
    mu = draws.standard_normal(12)
    a = gaussian(mu, basis * w1 @ basis.T)
    b = gaussian(np.zeros(12), basis * w2 @ basis.T)
    expected = (mu**2).sum() + ((np.sqrt(w1) - np.sqrt(w2)) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_scaling_features_by_c_scales_the_distance_by_c_squared() -> None:
    x, y = mixed(60, 8, 1), mixed(60, 8, 2)
    once = frechet_distance(fitted(x), fitted(y))
    assert frechet_distance(fitted(3 * x), fitted(3 * y)) == pytest.approx(9 * once, rel=1e-12)


def test_full_rank_agrees_with_the_matrix_square_root_of_scipy() -> None:
    a, b = fitted(mixed(300, 24, 3)), fitted(mixed(400, 24, 4))
    assert frechet_distance(a, b) == pytest.approx(by_square_root(a, b), rel=1e-9)


@pytest.mark.parametrize(("m", "n"), [(20, 20), (20, 200), (200, 20), (2, 2), (200, 300)])
def test_few_samples_agree_with_the_nuclear_norm_of_the_features(m: int, n: int) -> None:
    x, y = mixed(m, 64, 5), mixed(n, 64, 6)
    assert frechet_distance(fitted(x), fitted(y)) == pytest.approx(by_nuclear_norm(x, y), rel=1e-10)


@pytest.mark.parametrize("n", [10, 500])
def test_a_set_is_at_distance_zero_from_itself(n: int) -> None:
    statistics = fitted(mixed(n, 64, 7))
    assert 0 <= frechet_distance(statistics, statistics) <= 1e-9


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 16), st.integers(0, 1000))
def test_it_is_symmetric_and_never_negative(m: int, n: int, d: int, seed: int) -> None:
    a, b = fitted(mixed(m, d, seed)), fitted(mixed(n, d, seed + 1))
    there, back = frechet_distance(a, b), frechet_distance(b, a)
    assert there >= 0
    assert there == pytest.approx(back, rel=1e-9, abs=1e-9)


def test_a_collapsed_set_is_at_the_distance_of_means_plus_the_other_variance() -> None:
    x = mixed(50, 6, 8)
    point = np.repeat(mixed(1, 6, 9), 50, axis=0)
    expected = ((x.mean(0) - point[0]) ** 2).sum() + x.var(0, ddof=1).sum()
    assert frechet_distance(fitted(x), fitted(point)) == pytest.approx(expected, rel=1e-12)


def test_a_matrix_with_negative_eigenvalues_is_refused() -> None:
    good = gaussian(np.zeros(2), np.eye(2))
    with pytest.raises(DataError, match="negative eigenvalue"):
        frechet_distance(good, gaussian(np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]])))


def test_the_same_input_gives_the_same_bits() -> None:
    a, b = fitted(mixed(90, 32, 10)), fitted(mixed(90, 32, 11))
    assert frechet_distance(a, b) == frechet_distance(a, b)
