"""How many training images a spec keeps, in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketlab.spec.data import Data


@pytest.mark.parametrize(
    ("ratio", "total", "kept"),
    [(0.1, 50_000, 5_000), (0.29, 100, 29), (0.57, 100, 57), (1.0, 7, 7), (0.333, 1000, 333), (1e-4, 50_000, 5)],
)
def test_ratios_count_without_rounding_error(ratio: float, total: int, kept: int) -> None:
    assert Data(dataset="d", ratio=ratio).kept_of(total) == kept


@given(st.integers(1, 1000), st.integers(1, 10**6))
def test_a_ratio_written_in_thousandths_keeps_the_floor_of_its_share(thousandths: int, total: int) -> None:
    exact = total * Fraction(thousandths, 1000)
    assert Data(dataset="d", ratio=thousandths / 1000).kept_of(total) == exact.numerator // exact.denominator


def test_counts_pass_through_and_neither_keeps_all() -> None:
    assert Data(dataset="d", count=5).kept_of(10) == 5
    assert Data(dataset="d").kept_of(10) == 10
