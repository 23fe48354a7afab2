"""Names of tensors go under a prefix and come back from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ticketlab.randomness import Key
from ticketlab.training.setup import named, under

NAMES = st.from_regex(r"[a-z]+(\.[a-z]+){0,2}", fullmatch=True)


@settings(max_examples=40, deadline=None)
@given(st.sets(NAMES, max_size=5), st.sets(NAMES, max_size=5), NAMES, NAMES)
def test_under_undoes_named_beside_any_other_prefix(one: set[str], two: set[str], first: str, second: str) -> None:
    mine = {name: torch.tensor(number) for number, name in enumerate(sorted(one))}
    other = {name: torch.tensor(-number) for number, name in enumerate(sorted(two))}
    assume(not f"{first}.".startswith(f"{second}.") and not f"{second}.".startswith(f"{first}."))
    together = {**named(first, mine), **named(second, other)}
    assert under(first, together) == mine
    assert under(second, together) == other


def test_a_prefix_is_a_whole_word() -> None:
    assert under("gen", {"generator.a": torch.zeros(1), "gen.b": torch.ones(1)}).keys() == {"b"}


def test_augmentations_work_on_what_they_are_made_for_with_draws_of_their_own(bench: Callable[..., Any]) -> None:
    setup = bench("cross_entropy").training()._setup
    images = torch.arange(2 * 16 * 16, dtype=torch.float32).reshape(2, 1, 16, 16)
    calls: list[tuple[str, Key]] = []

    class Noted:
        def __init__(self, on: str) -> None:
            self.on = on

        def apply(self, batch: torch.Tensor, key: Key) -> torch.Tensor:
            calls.append((self.on, key))
            return batch + 1

    both = type(setup)(**{**vars(setup), "augmenters": [Noted("pixels"), Noted("scaled"), Noted("pixels")]})
    assert torch.equal(both.augmented(images, "pixels", "real", 7), images + 2)
    assert torch.equal(both.augmented(images, "scaled", "real", 7), images + 1)
    assert [on for on, _ in calls] == ["pixels", "pixels", "scaled"]
    assert len({key for _, key in calls}) == 3
    both.augmented(images, "scaled", "real", 7)
    both.augmented(images, "scaled", "real", 8)
    both.augmented(images, "scaled", "fake", 7)
    assert calls[3][1] == calls[2][1]
    assert len({key for _, key in calls[3:]}) == 3
