"""Kept counts are the published ones, exact, and never rise."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.spec.drawing import DensityByKind, PrunedByKind, Schedule
from ticketlab.tickets.schedule import kept_after, kept_as_released


def test_sngan_generator_counts_are_the_published_ones() -> None:
    schedule = Schedule(rounds=10, rate=0.2)
    assert [kept_after(schedule, done, 3742464) for done in range(11)] == [
        3742464, 2993971, 2395177, 1916142, 1532914, 1226331, 981065, 784852, 627882, 502306, 401845,
    ]  # fmt: skip


def test_half_a_weight_is_rounded_to_even() -> None:
    schedule = Schedule(rounds=1, rate=0.5)
    assert [size - kept_after(schedule, 1, size) for size in (1, 3, 5, 7)] == [0, 2, 2, 4]


def test_a_share_is_the_decimal_number_that_was_written() -> None:
    assert 1000 - math.trunc((1 - 0.9) * 1000) != 900
    assert kept_after(Schedule(rate=0.9), 1, 1000) == 100
    assert kept_after(Schedule(density=0.9), 1, 1000) == 900
    assert kept_after(Schedule(density=0.9), 1, 10) == 9
    assert kept_after(Schedule(density=1e-05), 1, 10**6) == 10


@pytest.mark.parametrize(
    ("density", "rounds", "root"), [(0.04, 2, 0.2), (0.001, 3, 0.1), (0.00001, 5, 0.1), (0.49, 2, 0.7)]
)
def test_exponential_counts_are_exact_where_the_density_is_rational(density: float, rounds: int, root: float) -> None:
    schedule = Schedule(rounds=rounds, density=density)
    for size in (100, 1000, 10**5, 3_742_400):
        for done in range(rounds + 1):
            expected = size - math.trunc((1 - Fraction(str(root)) ** done) * size)
            assert kept_after(schedule, done, size) == expected


@given(
    st.integers(1, 10**8),
    st.decimals("0.0001", "1", places=4),
    st.integers(1, 60),
    st.sampled_from(["exponential", "linear"]),
)
def test_density_counts_agree_with_sixty_digits(size: int, density: Decimal, rounds: int, spacing: str) -> None:
    schedule = Schedule(rounds=rounds, density=float(density), spacing=spacing)
    for done in {1, (rounds + 1) // 2, rounds}:
        kept = kept_after(schedule, done, size)
        with localcontext(prec=60):
            share = Decimal(done) / rounds
            exact = size * (density**share if spacing == "exponential" else 1 - (1 - density) * share)
            assert exact - Decimal("1e-40") <= kept < exact + 1 + Decimal("1e-40")
    assert kept_after(schedule, rounds, size) == size - math.trunc((1 - Fraction(density)) * size)


@settings(max_examples=50)
@given(
    st.integers(1, 10**7),
    st.floats(0.001, 1, exclude_max=True),
    st.integers(1, 40),
    st.sampled_from(["rate", "exponential", "linear"]),
)
def test_counts_never_rise_and_start_dense(size: int, share: float, rounds: int, form: str) -> None:
    schedule = (
        Schedule(rounds=rounds, rate=share)
        if form == "rate"
        else Schedule(rounds=rounds, density=share, spacing="linear" if form == "linear" else "exponential")
    )
    counts = [kept_after(schedule, done, size) for done in range(rounds + 1)]
    assert counts[0] == size
    assert counts == sorted(counts, reverse=True)
    assert form == "rate" or counts[-1] >= 1


def test_nothing_is_pruned_at_rate_zero_or_density_one() -> None:
    assert kept_after(Schedule(rounds=3, rate=0.0), 3, 17) == 17
    assert kept_after(Schedule(rounds=3, density=1.0), 2, 17) == 17


def test_each_kind_has_its_own_budget_and_a_kind_left_out_stays_dense() -> None:
    rates = Schedule(rounds=2, rate=PrunedByKind(conv=0.1, linear=0.5))
    assert kept_after(rates, 2, 100, "conv") == 81
    assert kept_after(rates, 2, 100, "linear") == 25
    densities = Schedule(rounds=2, density=DensityByKind(linear=0.25))
    assert kept_after(densities, 1, 100, "linear") == 50
    assert kept_after(densities, 2, 100, "conv") == 100
    assert rates.by_kind is not None
    assert densities.by_kind is not None
    assert Schedule(rate=0.2).by_kind is None
    assert Schedule(density=1).by_kind is None


@pytest.mark.parametrize("done", [-1, 4])
def test_a_round_that_does_not_exist_is_refused(done: int) -> None:
    with pytest.raises(ValueError, match="of a schedule of 3"):
        kept_after(Schedule(rounds=3, rate=0.2), done, 10)


def test_ten_thousand_rounds_stay_exact_and_quick() -> None:
    schedule = Schedule(rounds=10_000, density=0.01)
    assert kept_after(schedule, 5_000, 25_000_000) == 2_500_000
    assert kept_after(schedule, 10_000, 25_000_000) == 250_000


def test_released_counts_lose_a_weight_where_the_product_falls_short_of_a_whole_number() -> None:
    ninety = Schedule(density=0.9)
    assert [kept_after(ninety, 1, size) for size in (10, 1000, 3960)] == [9, 900, 3564]
    assert [kept_as_released(ninety, 1, size, None) for size in (10, 1000, 3960)] == [10, 901, 3565]
    line = Schedule(density=0.1, rounds=2, spacing="linear")
    assert [kept_after(line, done, 100) for done in (1, 2)] == [55, 10]
    assert [kept_as_released(line, done, 100, None) for done in (1, 2)] == [56, 10]
    power = Schedule(density=0.81, rounds=2)
    assert [kept_after(power, done, 100) for done in (1, 2)] == [90, 81]
    assert [kept_as_released(power, done, 100, None) for done in (1, 2)] == [91, 82]


@given(
    st.integers(1, 10**7),
    st.floats(0.001, 1),
    st.integers(1, 100),
    st.sampled_from(["exponential", "linear"]),
)
def test_released_counts_are_those_of_the_released_lines(size: int, sparsity: float, epochs: int, spacing: str) -> None:
    """The lines as published, where `sparsity` is the density and a round is an epoch; one weight from exact at most."""
    schedule = Schedule(rounds=epochs, density=sparsity, spacing=spacing)
    for epoch in {0, epochs // 2, epochs - 1}:
        if spacing == "exponential":
            sparse = sparsity ** ((epoch + 1) / epochs)
        else:
            sparse = 1.0 - (1.0 - sparsity) * ((epoch + 1) / epochs)
        k = int((1.0 - sparse) * size)
        assert kept_as_released(schedule, epoch + 1, size, None) == size - k
        assert abs(size - k - kept_after(schedule, epoch + 1, size)) <= 1


def test_released_counts_leave_rates_and_kinds_that_stay_dense_as_they_are() -> None:
    assert kept_as_released(Schedule(rate=0.1, rounds=3), 2, 1005, None) == kept_after(
        Schedule(rate=0.1, rounds=3), 2, 1005
    )
    assert kept_as_released(Schedule(density=DensityByKind(linear=0.9)), 1, 1000, "conv") == 1000
    assert kept_as_released(Schedule(density=DensityByKind(linear=0.9)), 1, 1000, "linear") == 901
    with pytest.raises(ValueError, match="of a schedule of 3"):
        kept_as_released(Schedule(rounds=3, density=0.2), 4, 10, None)
