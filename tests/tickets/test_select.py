"""Selection equals sorting in plain Python: exact counts, ties by index, no way back."""

import math
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.errors import Diverged
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.select import SPARSE, keep_highest

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, torch.Tensor], Mask | None, int]:
    few = st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 0.5, 1.0, math.inf])
    shapes = draw(st.lists(st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=3))
    scores = {}
    for i, shape in enumerate(shapes):
        values = draw(st.lists(few, min_size=math.prod(shape), max_size=math.prod(shape)))
        scores[f"net.l{i}"] = torch.tensor(values, dtype=draw(st.sampled_from(DTYPES))).reshape(shape)
    sizes = {name: score.numel() for name, score in scores.items()}
    within = None
    if draw(st.booleans()):
        drawn = {name: draw(st.lists(st.booleans(), min_size=n, max_size=n)) for name, n in sizes.items()}
        within = Mask({name: torch.tensor(b).reshape(scores[name].shape) for name, b in drawn.items()})
    keep = draw(st.integers(0, sum(sizes.values()) if within is None else within.kept))
    return scores, within, keep


def sorted_in_python(scores: dict[str, torch.Tensor], keep: int, within: Mask | None) -> dict[str, list[bool]]:
    entries = [
        (-value, place, index)
        for place, (name, score) in enumerate(scores.items())
        for index, value in enumerate(score.reshape(-1).tolist())
        if within is None or within[name].reshape(-1)[index]
    ]
    kept = {entry[1:] for entry in sorted(entries)[:keep]}
    return {
        name: [(place, index) in kept for index in range(score.numel())]
        for place, (name, score) in enumerate(scores.items())
    }


@settings(max_examples=300)
@given(cases())
def test_selection_equals_a_stable_sort(case: tuple[dict[str, torch.Tensor], Mask | None, int]) -> None:
    scores, within, keep = case
    kept = keep_highest(scores, keep, within)
    assert {name: layer.reshape(-1).tolist() for name, layer in kept.items()} == sorted_in_python(scores, keep, within)
    assert list(kept) == list(scores)
    assert all(layer.shape == scores[name].shape for name, layer in kept.items())
    chosen = Mask(kept)
    assert chosen.kept == keep
    assert within is None or chosen.within(within)


@given(cases(), st.data())
def test_keeping_fewer_nests_inside_keeping_more(
    case: tuple[dict[str, torch.Tensor], Mask | None, int], data: st.DataObject
) -> None:
    scores, within, keep = case
    fewer = data.draw(st.integers(0, keep))
    more = Mask(keep_highest(scores, keep, within))
    assert Mask(keep_highest(scores, fewer, within)).within(more)
    assert Mask(keep_highest(scores, fewer, more)) == Mask(keep_highest(scores, fewer, within))


@pytest.mark.parametrize("keep", [0, 1, 499, 500, 501, 1000])
def test_a_thousand_equal_scores_keep_exactly_the_first(keep: int) -> None:
    kept = keep_highest({"net.a": torch.zeros(500), "net.b": torch.zeros(500)}, keep)
    flat = torch.cat([kept["net.a"], kept["net.b"]]).tolist()
    assert flat == [True] * keep + [False] * (1000 - keep)


def test_a_masked_out_entry_does_not_come_back_however_high_it_scores() -> None:
    within = Mask({"net.w": torch.tensor([False, True, True])})
    kept = keep_highest({"net.w": torch.tensor([math.inf, -math.inf, -math.inf])}, 1, within)
    assert kept["net.w"].tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_is_refused_and_its_layer_named(dtype: torch.dtype) -> None:
    scores = {"net.fine": torch.ones(2, dtype=dtype), "net.sick": torch.tensor([1.0, math.nan], dtype=dtype)}
    with pytest.raises(Diverged, match=r"net\.sick"):
        keep_highest(scores, 1)


def test_double_precision_is_not_rounded_to_single() -> None:
    scores = {
        "net.a": torch.tensor([1.0], dtype=torch.float32),
        "net.b": torch.tensor([1 + 1e-12], dtype=torch.float64),
    }
    assert keep_highest(scores, 1)["net.b"].tolist() == [True]


def test_order_is_that_of_the_logical_index_not_of_memory() -> None:
    score = torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last)
    kept = keep_highest({"net.w": score}, 5)["net.w"]
    assert kept.reshape(-1).tolist() == [True] * 5 + [False] * 19


@pytest.mark.parametrize("keep", [-1, 3])
def test_a_count_that_cannot_be_kept_is_refused(keep: int) -> None:
    within = Mask({"net.w": torch.tensor([True, True, False])})
    with pytest.raises(ValueError, match="cannot keep"):
        keep_highest({"net.w": torch.zeros(3)}, keep, within)


def test_scores_of_another_shape_than_the_mask_are_refused() -> None:
    with pytest.raises(ValueError, match="mask of shape"):
        keep_highest({"net.w": torch.zeros(2, 3)}, 1, Mask.dense({"net.w": (3, 2)}))


def test_whole_numbers_are_no_scores() -> None:
    with pytest.raises(TypeError, match="floating point"):
        keep_highest({"net.w": torch.arange(3)}, 1)


@pytest.mark.parametrize("levels", [1, 3, 2**24])
def test_four_million_weights_take_seconds_at_most_and_count_exactly(levels: int) -> None:
    source = torch.Generator().manual_seed(0)
    scores = {f"net.l{i}": torch.randint(levels, (1_000_000,), generator=source).float() for i in range(4)}
    start = time.perf_counter()
    kept = Mask(keep_highest(scores, 1_234_567, Mask.dense(dict.fromkeys(scores, (1_000_000,)))))
    assert time.perf_counter() - start < 10
    assert kept.kept == 1_234_567


@pytest.mark.parametrize("levels", [1, 2, 40, 10**9])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.5, 0.997, 1.0])
def test_large_layers_of_any_layout_are_cut_where_a_stable_sort_cuts_them(levels: int, share: float) -> None:
    source = torch.Generator().manual_seed(levels)
    shapes = {"net.a": (64, 32, 3, 3), "net.b": (128, 300), "net.c": (256, 128, 1, 1), "net.d": (7,)}
    scores = {name: torch.randint(levels, shape, generator=source).double() for name, shape in shapes.items()}
    scores["net.a"] = scores["net.a"].to(memory_format=torch.channels_last)
    scores["net.b"] = scores["net.b"].T.contiguous().T - 3
    within = Mask({name: torch.rand(shape, generator=source) < 0.7 for name, shape in shapes.items()})
    keep = round(share * within.kept)
    flat = torch.cat([scores[name].reshape(-1).where(within[name].reshape(-1), -torch.inf) for name in shapes])
    expected = torch.zeros(len(flat), dtype=torch.bool)
    expected[flat.sort(descending=True, stable=True).indices[:keep]] = True
    kept = keep_highest(scores, keep, within)
    assert torch.equal(torch.cat([layer.reshape(-1) for layer in kept.values()]), expected)
    assert all(layer.stride() == scores[name].stride() for name, layer in kept.items())


def test_a_sample_that_misleads_costs_time_and_nothing_else() -> None:
    scores = torch.ones(1 << 18)
    scores[::SPARSE] = 1000.0
    kept = keep_highest({"net.w": scores + torch.arange(len(scores)) / len(scores)}, len(scores) // 2)["net.w"]
    assert int(kept.count_nonzero()) == len(scores) // 2
    assert bool(kept[::SPARSE].all())
    assert bool(kept[-1000:].all())
