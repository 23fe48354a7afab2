"""Layers that share a threshold are of one network, and of one kind where kinds have budgets; counts are exact."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketlab.errors import TicketlabError
from ticketlab.spec.drawing import DensityByKind, Schedule
from ticketlab.spec.scope import Erk, Global, PerLayer, ScopeChoice, Uniform
from ticketlab.tickets.scope import Budget, Layer, apart, budgets, erdos_renyi, network_of

if TYPE_CHECKING:
    from ticketlab.tickets.schedule import Count

LAYERS = {
    "generator.l1.weight": Layer("linear", (8, 4), 32),
    "critic.c1.weight": Layer("conv", (4, 3, 3, 3), 108),
    "generator.c1.weight": Layer("conv", (4, 4, 3, 3), 144),
    "generator.c2.weight": Layer("conv", (3, 4, 3, 3), 108),
    "critic.l5.weight": Layer("linear", (1, 4), 4),
}
HALF = Schedule(density=0.5)
BY_KIND = Schedule(density=DensityByKind(conv=0.5, linear=0.25))


def test_global_is_per_network() -> None:
    assert budgets(Global(), LAYERS, HALF, 1) == [
        Budget(("generator.l1.weight", "generator.c1.weight", "generator.c2.weight"), 142),
        Budget(("critic.c1.weight", "critic.l5.weight"), 56),
    ]


def test_kinds_are_never_mixed_where_they_have_budgets() -> None:
    assert budgets(Global(), LAYERS, BY_KIND, 1) == [
        Budget(("generator.l1.weight",), 8),
        Budget(("critic.c1.weight",), 54),
        Budget(("generator.c1.weight", "generator.c2.weight"), 126),
        Budget(("critic.l5.weight",), 1),
    ]


@pytest.mark.parametrize("scope", [PerLayer(), Erk()], ids=lambda one: one.kind)
@pytest.mark.parametrize("schedule", [HALF, BY_KIND])
def test_other_scopes_put_every_layer_alone_and_keep_as_much(scope: ScopeChoice, schedule: Schedule) -> None:
    found = budgets(scope, LAYERS, schedule, 1)
    assert [budget.layers for budget in found] == [(name,) for name in LAYERS]
    assert sum(budget.keep for budget in found) == sum(budget.keep for budget in budgets(Global(), LAYERS, schedule, 1))


def test_uniform_keeps_the_first_layer_of_each_network_dense_and_the_others_alike() -> None:
    kept = {budget.layers[0]: budget.keep for budget in budgets(Uniform(), LAYERS, HALF, 1)}
    assert kept == {
        "generator.l1.weight": 32,
        "critic.c1.weight": 108,
        "generator.c1.weight": 72,
        "generator.c2.weight": 54,
        "critic.l5.weight": 2,
    }
    by_kind = {budget.layers[0]: budget.keep for budget in budgets(Uniform(), LAYERS, BY_KIND, 1)}
    assert by_kind == {**kept, "critic.l5.weight": 1}
    rounds = Schedule(density=0.25, rounds=2)
    assert [budgets(Uniform(), LAYERS, rounds, done)[2].keep for done in (1, 2)] == [72, 36]


def test_uniform_refuses_a_network_of_which_only_the_first_layer_is_masked() -> None:
    with pytest.raises(TicketlabError, match="the critic has no other under the mask"):
        budgets(Uniform(), {name: LAYERS[name] for name in list(LAYERS)[:3]}, HALF, 1)


class Forgetful(Global):
    """Leaves the last layer out."""

    made_by: ClassVar[str] = f"{__name__}:forgetful"


class Mixing(Global):
    """Ranks a generator against its critic."""

    made_by: ClassVar[str] = f"{__name__}:mixing"


def forgetful(
    options: Forgetful, layers: Mapping[str, Layer], schedule: Schedule, round: int, count: Count
) -> list[Budget]:
    return apart(options, layers, schedule, round, count)[:-1]


def mixing(options: Mixing, layers: Mapping[str, Layer], schedule: Schedule, round: int, count: Count) -> list[Budget]:
    return [Budget(tuple(layers), 1)]


@pytest.mark.parametrize(
    ("scope", "words"), [(Forgetful(), "do not hold every layer once"), (Mixing(), "mixes networks")]
)
def test_a_scope_that_breaks_its_promise_is_refused(scope: ScopeChoice, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        budgets(scope, LAYERS, HALF, 1)


def test_erdos_renyi_densities_are_in_proportion_to_sides_over_product() -> None:
    layers = {"n.a": Layer("linear", (300, 784), 235_200), "n.b": Layer("linear", (100, 300), 30_000)}
    kept = erdos_renyi(layers, 14_840)
    # By hand: densities (300 + 784) / (300 * 784) c and (100 + 300) / (100 * 300) c, so counts are as 1084 to 400.
    assert kept == {"n.a": 10_840, "n.b": 4_000}


def test_erdos_renyi_gives_a_transposed_convolution_what_it_gives_the_convolution_between_the_same_channels() -> None:
    """Fan-in and fan-out count alike, whichever axis they are."""
    there = erdos_renyi({"n.a": Layer("conv", (8, 4, 3, 3), 288), "n.b": Layer("linear", (20, 9), 180)}, 150)
    back = erdos_renyi({"n.a": Layer("conv", (4, 8, 3, 3), 288), "n.b": Layer("linear", (20, 9), 180)}, 150)
    assert there == back


def test_a_small_layer_stays_full_and_the_others_share_the_rest() -> None:
    layers = {"n.a": Layer("linear", (100, 100), 10_000), "n.b": Layer("linear", (2, 3), 6)}
    assert erdos_renyi(layers, 5_006) == {"n.a": 5_000, "n.b": 6}


sides = st.lists(st.integers(1, 6), min_size=2, max_size=4)


@given(shapes=st.lists(sides, min_size=1, max_size=5), share=st.fractions(0, 1), data=st.data())
def test_erdos_renyi_is_exact_within_what_is_left_and_nests(
    shapes: list[list[int]], share: Fraction, data: st.DataObject
) -> None:
    layers = {
        f"n.l{i}": Layer("conv", tuple(shape), Layer("conv", tuple(shape), 0).size) for i, shape in enumerate(shapes)
    }
    keep = int(share * sum(layer.left for layer in layers.values()))
    first = erdos_renyi(layers, keep)
    assert sum(first.values()) == keep
    assert all(0 <= first[name] <= layer.left for name, layer in layers.items())
    less = data.draw(st.integers(0, keep))
    left = {name: Layer(layer.kind, layer.shape, first[name]) for name, layer in layers.items()}
    second = erdos_renyi(left, less)
    assert sum(second.values()) == less
    assert all(second[name] <= first[name] for name in layers)


def test_more_than_there_is_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match="cannot keep 5"):
        erdos_renyi({"n.a": Layer("linear", (2, 2), 4)}, 5)


def test_the_network_is_the_first_part_of_the_name() -> None:
    assert network_of("generator.block2.c1.weight") == "generator"
