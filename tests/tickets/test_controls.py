"""Controls keep each layer's count, differ from their target wherever another mask exists, and are fair draws."""

from collections import Counter
from collections.abc import Callable
from math import comb

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ticketlab.randomness import Key
from ticketlab.tickets.controls import random_like, shuffled
from ticketlab.tickets.mask import Mask

Control = Callable[[Mask, Key], Mask]
controls = pytest.mark.parametrize("control", [random_like, shuffled])


@controls
@given(
    layers=st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=1, max_size=4),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_layer_keeps_its_count_and_differs_where_it_can(
    control: Control, layers: list[list[bool]], seed: int
) -> None:
    mask = Mask({f"net.l{i}": torch.tensor(bits) for i, bits in enumerate(layers)})
    drawn = control(mask, Key(seed))
    assert drawn.shapes() == mask.shapes()
    assert drawn.layer_kept() == mask.layer_kept()
    for name, bits in mask.items():
        movable = bits.any() and not bits.all()
        assert torch.equal(drawn[name], bits) != bool(movable)
    assert control(mask, Key(seed)) == drawn


@controls
def test_all_other_masks_of_the_same_count_are_equally_likely(control: Control) -> None:
    target = Mask({"net.w": torch.tensor([[True, False, False], [True, False, False]])})
    draws = 2800
    seen = Counter(tuple(control(target, Key(seed))["net.w"].reshape(-1).tolist()) for seed in range(draws))
    others = comb(6, 2) - 1
    assert len(seen) == others
    expected = draws / others
    chi_squared = sum((count - expected) ** 2 / expected for count in seen.values())
    assert chi_squared < 34.5  # 0.1 % point of chi squared with 13 degrees of freedom


@controls
def test_a_large_layer_loses_its_structure(control: Control) -> None:
    bits = torch.zeros(100, 100, dtype=torch.bool)
    bits[:10] = True
    drawn = control(Mask({"net.w": bits}), Key(0))["net.w"]
    assert int(drawn.count_nonzero()) == 1000
    assert drawn.any(dim=1).sum() > 95
    assert drawn[:10].count_nonzero() < 200


def test_the_two_controls_and_each_key_draw_differently() -> None:
    mask = Mask({"net.w": torch.arange(1000) < 300, "net.v": torch.arange(1000) < 300})
    drawn = [control(mask, Key(seed)) for control in (random_like, shuffled) for seed in (0, 1)]
    assert len({one.digest() for one in drawn}) == 4
    assert all(not torch.equal(one["net.w"], one["net.v"]) for one in drawn)
