"""Limited data: exact counts, balance, nesting, and addresses that repeat."""

import hashlib
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.datasets.subset import draw, indices_digest
from ticketlab.errors import DataError
from ticketlab.randomness import Key

label_lists = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(label_lists, st.sampled_from(["balanced", "uniform", "first"]), st.integers(0, 100))
def test_subsets_are_sorted_distinct_of_exact_count_and_nested(labels, rule, seed):
    labels = torch.tensor(labels)
    inner: set[int] = set()
    for count in range(1, len(labels) + 1):
        try:
            kept = draw(labels, count, rule, Key(seed)).tolist()
        except DataError:
            assert rule == "balanced"
            continue
        assert kept == sorted(set(kept))
        assert len(kept) == count
        assert 0 <= kept[0] <= kept[-1] < len(labels)
        assert inner <= set(kept)
        inner = set(kept)
    assert inner == set(range(len(labels)))


@settings(max_examples=200, deadline=None)
@given(label_lists, st.integers(1, 60), st.integers(0, 100))
def test_balanced_counts_differ_by_at_most_one_or_no_such_subset_exists(labels, count, seed):
    sizes = [labels.count(label) for label in sorted(set(labels))]
    if count >= len(labels):
        return
    share, remainder = divmod(count, len(sizes))
    possible = min(sizes) >= share and sum(size > share for size in sizes) >= remainder
    if not possible:
        with pytest.raises(DataError, match="has only"):
            draw(torch.tensor(labels), count, "balanced", Key(seed))
        return
    kept = torch.tensor(labels)[draw(torch.tensor(labels), count, "balanced", Key(seed))].tolist()
    drawn = [kept.count(label) for label in sorted(set(labels))]
    assert max(drawn) - min(drawn) <= 1


def test_first_is_the_head_of_the_file():
    assert draw(torch.tensor([5, 5, 1, 1]), 3, "first", Key(0)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("rule", ["balanced", "uniform"])
def test_a_subset_depends_on_the_key_and_on_nothing_else(rule):
    labels = torch.arange(1000) % 10
    state = torch.get_rng_state()
    first = draw(labels, 105, rule, Key(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, draw(labels, 105, rule, Key(1)))
    assert not torch.equal(first, draw(labels, 105, rule, Key(2)))


def test_remainder_classes_are_drawn_by_the_key():
    labels = torch.arange(100) % 10
    chosen = {tuple(labels[draw(labels, 3, "balanced", Key(seed))].sort().values.tolist()) for seed in range(20)}
    assert len(chosen) > 5


@pytest.mark.parametrize("rule", ["balanced", "uniform", "first"])
@pytest.mark.parametrize("count", [0, -1, 11])
def test_impossible_counts_are_refused(rule, count):
    with pytest.raises(DataError):
        draw(torch.arange(10), count, rule, Key(0))


def test_the_digest_is_of_little_endian_64_bit_numbers():
    assert indices_digest(torch.tensor([0, 1, 258])) == hashlib.sha256(struct.pack("<3q", 0, 1, 258)).hexdigest()
