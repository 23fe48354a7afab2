"""Structures: whole channels that fit the budget, exactly n of every m inputs, and controls that keep them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ticketlab.randomness import Key
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.structure import AboveThreshold as ByThreshold
from ticketlab.spec.structure import Channels as ByChannel
from ticketlab.spec.structure import NofM, Percentile, StructureChoice
from ticketlab.spec.structure import Weights as ByWeight
from ticketlab.tickets.controls import random_like, shuffled
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.structure import AbovePercentile, AboveThreshold, Channels, Groups, structure

KEY = Key(3)


def scores(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
    return {
        f"net.{name}": torch.rand(shape, generator=KEY.of(name).generator(), dtype=torch.float64)
        for name, shape in shapes.items()
    }


def dense(given_scores: dict[str, Tensor]) -> Mask:
    return Mask.dense({name: tuple(score.shape) for name, score in given_scores.items()})


@given(
    values=st.lists(st.integers(-2, 3), min_size=12, max_size=12),
    before=st.lists(st.booleans(), min_size=12, max_size=12),
    keep=st.integers(0, 12),
)
def test_what_equals_the_threshold_goes_with_it_and_what_is_above_comes_back(
    values: list[int], before: list[bool], keep: int
) -> None:
    """The released rule, as it reads: sort, take the last of those that are to go, keep what is greater."""
    flat = torch.tensor(values, dtype=torch.float32)
    asked = {"net.a": flat[:8].reshape(2, 4), "net.b": flat[8:]}
    bits = torch.tensor(before)
    within = Mask({"net.a": bits[:8].reshape(2, 4), "net.b": bits[8:]})
    kept = AboveThreshold().select(asked, keep, within)
    gone = sorted(values)[: 12 - keep]
    expected = [not gone or value > gone[-1] for value in values]
    assert torch.cat([kept["net.a"].reshape(-1), kept["net.b"]]).tolist() == expected


def test_without_ties_the_threshold_keeps_exactly_as_many_round_after_round() -> None:
    asked = scores(a=(4, 3, 2, 2), b=(6, 5))
    within = dense(asked)
    for keep in (60, 25, 4):
        live = {name: torch.where(within[name], score, 0.0) for name, score in asked.items()}
        kept = AboveThreshold().select(live, keep, within)
        exact = structure(ByWeight()).select(live, keep, within)
        assert all(torch.equal(kept[name], exact[name]) for name in asked)
        within = Mask(kept)


@given(
    values=st.lists(st.integers(-40, 40), min_size=1, max_size=60),
    pruned=st.sampled_from(["0", "0.1", "0.2", "0.25", "0.5", "0.8", "0.95"]),
)
def test_a_percentile_is_numpys(values: list[int], pruned: str) -> None:
    """Ties too: what equals the percentile, or the number below it, is pruned."""
    weights = torch.tensor(values, dtype=torch.float64)
    schedule = Schedule(density=float(1 - Fraction(pruned)))
    keep = AbovePercentile.count(schedule, 1, len(values), None)
    kept = AbovePercentile().select({"net.a": weights}, keep, Mask.dense({"net.a": (len(values),)}))["net.a"]
    assert np.array_equal(kept.numpy(), weights.numpy() > np.percentile(weights.numpy(), 100 * float(pruned)))


@given(keep=st.integers(0, 130))
def test_channels_are_the_best_by_mean_score_until_the_budget_is_full(keep: int) -> None:
    asked = scores(a=(4, 3, 2, 2), b=(6, 5), c=(3, 2, 1, 1))
    kept = Channels().select(asked, keep, dense(asked))
    ranked = sorted(
        ((float(row.mean()), row.numel(), name, i) for name, score in asked.items() for i, row in enumerate(score)),
        reverse=True,
    )
    budget, expected = keep, set()
    for _, size, name, i in ranked:
        if size > budget:
            break
        expected.add((name, i))
        budget -= size
    assert {(name, i) for name, bits in kept.items() for i, row in enumerate(bits) if row.any()} == expected
    assert all(bool(row.all()) or not bool(row.any()) for bits in kept.values() for row in bits)


def test_a_channel_that_was_pruned_does_not_come_back() -> None:
    asked = scores(a=(4, 3))
    before = dense(asked)["net.a"]
    best = int(asked["net.a"].mean(1).argmax())
    before[best] = False
    kept = Channels().select(asked, 9, Mask({"net.a": before}))["net.a"]
    assert not kept[best].any()
    assert int(kept.count_nonzero()) == 9


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8)])
@pytest.mark.parametrize("shape", [(3, 16), (2, 8, 3, 3), (5, 24, 1, 1)])
def test_n_of_every_m_inputs_are_kept_and_they_are_the_highest(n: int, m: int, shape: tuple[int, ...]) -> None:
    asked = scores(a=shape)
    kept = Groups(n, m).select(asked, 0, dense(asked))["net.a"]
    by_output = asked["net.a"].movedim(1, -1).reshape(-1, m)
    bits = kept.movedim(1, -1).reshape(-1, m)
    assert (bits.sum(1) == n).all()
    for values, chosen in zip(by_output, bits, strict=True):
        assert values[chosen].min() > values[~chosen].max()


def test_inputs_beyond_the_last_whole_group_keep_the_same_share_rounded_up() -> None:
    asked = scores(a=(2, 7))
    kept = Groups(2, 4).select(asked, 0, dense(asked))["net.a"]
    assert kept[:, :4].sum(1).tolist() == [2, 2]
    assert kept[:, 4:].sum(1).tolist() == [2, 2]


@pytest.mark.parametrize("choice", [ByWeight(), ByThreshold(), Percentile(), ByChannel(), NofM(n=2, m=4)])
@pytest.mark.parametrize("control", [random_like, shuffled])
def test_controls_keep_counts_and_structure_and_differ(choice: StructureChoice, control: object) -> None:
    chosen = structure(choice)
    asked = scores(a=(6, 8, 3, 3), b=(10, 12))
    drawn = chosen.select(asked, 276, dense(asked))
    mask = Mask(drawn)
    other = control(mask, Key(9), chosen)  # type: ignore[operator]
    assert other.layer_kept() == mask.layer_kept()
    for name, bits in other.items():
        assert not torch.equal(bits, mask[name])
        if isinstance(choice, ByChannel):
            assert all(bool(row.all()) or not bool(row.any()) for row in bits)
        if isinstance(choice, NofM):
            assert (bits.movedim(1, -1).reshape(-1, 4).sum(1) == 2).all()
