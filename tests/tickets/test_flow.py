"""Scores of a method that remembers the round before are those of one that does not, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from ticketlab.models.private_copies import PrivateCopies
from ticketlab.randomness import Key
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.foresight import DataFree, SynFlow, SynFlowL2
from ticketlab.tickets.draw import draw_round
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scoring import score

ROUNDS = 6
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def drawn(made: Any, options: DataFree, layout: str, remembering: bool) -> list[tuple[Mask, dict[str, Tensor]]]:
    """Mask and scores of each round, with networks from where a run has them."""
    networks = {name: network.to(memory_format=LAYOUTS[layout]) for name, network in made.networks.items()}
    copies = PrivateCopies({name: network.eval() for name, network in networks.items()})
    memory: dict[str, Any] = {}
    mask, found = made.dense, []
    for number in range(1, ROUNDS + 1):
        copies.begin()
        subject = replace(
            made.subject(mask),
            networks=partial(copies.make, mask),
            memory=memory if remembering else {},
        )
        scores = {layer: values.clone() for layer, values in score(options, subject).items()}
        mask = draw_round(options, scores, made.kinds, mask, number)
        found.append((mask, scores))
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("variant", ["recommended", "released"])
@pytest.mark.parametrize("method", [SynFlow, SynFlowL2])
@pytest.mark.parametrize("model", ["lenet", "resnet", "vgg", "sngan"])
def test_memory_changes_no_score_and_no_mask(
    bench: Callable[..., Any], model: str, method: type[DataFree], variant: str, layout: str
) -> None:
    options = method(schedule=Schedule(rounds=ROUNDS, density=0.05), variant=variant)  # type: ignore[arg-type]
    with_it, without = (drawn(bench(model), options, layout, remembering) for remembering in (True, False))
    for (mask, scores), (other, others) in zip(with_it, without, strict=True):
        assert mask == other
        assert mask.digest() == other.digest()
        assert all(
            torch.equal(values.view(torch.int64), others[layer].view(torch.int64)) for layer, values in scores.items()
        )


def test_weights_that_come_back_are_scored_although_the_round_before_had_zeroed_them(bench: Callable[..., Any]) -> None:
    made = bench("resnet")
    options = SynFlow(schedule=Schedule(rounds=2, density=0.1))
    sparse = made.drawn(options)
    memory: dict[str, Any] = {}
    for mask in (sparse, made.dense, sparse):
        found = score(options, replace(made.subject(mask), memory=memory))
        expected = score(options, made.subject(mask))
        assert all(torch.equal(values, expected[layer]) for layer, values in found.items())


def test_a_round_makes_no_new_networks_where_no_weight_is_divided_by_its_norm(bench: Callable[..., Any]) -> None:
    made, options = bench("vgg"), SynFlow(schedule=Schedule(rounds=ROUNDS, density=0.1))
    asked, memory, mask = [], {}, made.dense
    for number in range(1, ROUNDS + 1):
        plain = made.subject(mask, key=Key(number))

        def counted(*precision: torch.dtype, plain: Any = plain) -> Any:
            asked.append(precision)
            return plain.networks(*precision)

        scores = score(options, replace(plain, networks=counted, memory=memory))
        mask = draw_round(options, scores, made.kinds, mask, number)
    assert asked == [(torch.float64,)]
