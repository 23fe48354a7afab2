"""A round of drawing hits the scheduled count in every group, nests in the round before, and names empty layers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.errors import Shortfall
from ticketlab.spec.drawing import DensityByKind, PrunedByKind, Schedule
from ticketlab.spec.scope import Erk
from ticketlab.spec.structure import AboveThreshold, Channels, Percentile, Weights
from ticketlab.spec.ticket import Magnitude, Random
from ticketlab.tickets.draw import draw_round, layer_collapse
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.schedule import kept_after

KINDS = {
    "generator.l1.weight": "linear",
    "generator.c1.weight": "conv",
    "generator.c2.weight": "conv",
    "critic.c1.weight": "conv",
}
SHAPES = {
    "generator.l1.weight": (6, 5),
    "generator.c1.weight": (4, 3, 3, 3),
    "generator.c2.weight": (2, 4, 3, 3),
    "critic.c1.weight": (5, 3, 1, 1),
}
SIZES = {name: torch.Size(shape).numel() for name, shape in SHAPES.items()}


def scores_with_ties(seed: int) -> dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return {name: torch.randint(5, shape, generator=source).float() for name, shape in SHAPES.items()}


schedules = st.one_of(
    st.builds(Schedule, rounds=st.integers(1, 5), rate=st.floats(0, 0.9)),
    st.builds(
        Schedule,
        rounds=st.integers(1, 5),
        density=st.floats(0.01, 1),
        spacing=st.sampled_from(["exponential", "linear"]),
    ),
    st.builds(Schedule, rounds=st.integers(1, 5), rate=st.builds(PrunedByKind, conv=st.floats(0, 0.9))),
    st.builds(
        Schedule,
        rounds=st.integers(1, 5),
        density=st.builds(DensityByKind, conv=st.floats(0.01, 1), linear=st.floats(0.01, 1)),
    ),
)


@settings(max_examples=60)
@given(schedules, st.sampled_from(["global", "layer"]), st.integers(0, 2**31))
def test_counts_are_exact_and_rounds_nest_although_scores_are_redrawn(
    schedule: Schedule, scope: str, seed: int
) -> None:
    options = Magnitude(schedule=schedule, scope=scope)
    mask: Mask | None = None
    by_kind = not isinstance(schedule.rate or schedule.density, float) and schedule.rate != 0.0
    for done in range(1, schedule.rounds + 1):
        drawn = draw_round(options, scores_with_ties(seed + done), KINDS, mask, done)
        assert mask is None or drawn.within(mask)
        assert list(drawn) == list(KINDS)
        kept = drawn.layer_kept()
        generator = [name for name in KINDS if name.startswith("generator")]
        if scope == "layer":
            pools = [[name] for name in KINDS]
        elif by_kind:
            pools = [["generator.l1.weight"], ["generator.c1.weight", "generator.c2.weight"], ["critic.c1.weight"]]
        else:
            pools = [generator, ["critic.c1.weight"]]
        for pool in pools:
            budget = kept_after(schedule, done, sum(SIZES[name] for name in pool), KINDS[pool[0]])
            assert sum(kept[name] for name in pool) == budget
        mask = drawn


def test_ten_global_rounds_of_a_wide_generator_hit_the_published_counts() -> None:
    shapes = {f"generator.block{b}.{c}.weight": (256, 256, 3, 3) for b in (2, 3, 4) for c in ("c1", "c2")}
    shapes |= {f"generator.block{b}.c_sc.weight": (256, 256, 1, 1) for b in (2, 3, 4)}
    shapes |= {"generator.c5.weight": (3, 256, 3, 3)}
    source = torch.Generator().manual_seed(0)
    scores = {name: torch.randn(shape, generator=source).abs() for name, shape in shapes.items()}
    options = Magnitude(schedule=Schedule(rounds=10, rate=0.2))
    kinds = dict.fromkeys(shapes, "conv")
    mask = Mask.dense(shapes)
    counts = []
    for done in range(1, 11):
        mask = draw_round(options, scores, kinds, mask, done)
        counts.append(mask.kept)
    assert counts == [2993971, 2395177, 1916142, 1532914, 1226331, 981065, 784852, 627882, 502306, 401845]


def test_a_weak_network_is_not_ranked_against_a_strong_one() -> None:
    scores = scores_with_ties(0)
    scores["critic.c1.weight"] = scores["critic.c1.weight"] - 1000
    drawn = draw_round(Magnitude(schedule=Schedule(density=0.5)), scores, KINDS, None, 1)
    assert drawn.layer_kept()["critic.c1.weight"] == 8


def test_ties_are_broken_in_the_order_of_kinds_whatever_the_order_of_scores() -> None:
    kinds = {"net.a": "conv", "net.b": "conv"}
    scores = {"net.b": torch.zeros(3), "net.a": torch.zeros(3)}
    drawn = draw_round(Magnitude(schedule=Schedule(density=0.5)), scores, kinds, None, 1)
    assert drawn.layer_kept() == {"net.a": 3, "net.b": 0}


def test_empty_layers_are_named() -> None:
    kinds = {"net.a": "conv", "net.b": "conv", "net.c": "conv"}
    scores = {"net.a": torch.zeros(3), "net.b": torch.ones(3), "net.c": torch.zeros(3)}
    drawn = draw_round(Magnitude(schedule=Schedule(density=0.3)), scores, kinds, None, 1)
    assert layer_collapse(drawn) == ["net.a", "net.c"]
    assert layer_collapse(Mask.dense({"net.a": (1,)})) == []


def test_other_layers_than_announced_are_refused() -> None:
    options = Magnitude(schedule=Schedule(density=0.3))
    with pytest.raises(ValueError, match="same layers"):
        draw_round(options, {"net.a": torch.zeros(3)}, {"net.b": "conv"}, None, 1)
    with pytest.raises(ValueError, match="same layers"):
        draw_round(options, {"net.a": torch.zeros(3)}, {"net.a": "conv"}, Mask.dense({"net.b": (3,)}), 1)


def test_a_previous_mask_sparser_than_the_schedule_is_refused() -> None:
    previous = Mask({"net.a": torch.tensor([True, False, False, False])})
    with pytest.raises(ValueError, match="cannot keep"):
        draw_round(Magnitude(schedule=Schedule(density=0.5)), {"net.a": torch.zeros(4)}, {"net.a": "conv"}, previous, 1)


@pytest.mark.parametrize("rounds", [5, 100])
@pytest.mark.parametrize("density", [0.5, 0.1, 0.02])
def test_whole_channels_by_erdos_renyi_are_drawn_in_any_number_of_rounds(rounds: int, density: float) -> None:
    """Whole channels may leave less than the next round asks for."""
    options = Magnitude(
        schedule=Schedule(rounds=rounds, density=density), structure=Channels(), scope=Erk(), layers=("conv",)
    )
    shapes = {"net.a": (16, 3, 3, 3), "net.b": (32, 16, 3, 3), "net.c": (10, 32, 1, 1)}
    source = torch.Generator().manual_seed(1)
    scores = {name: torch.rand(shape, generator=source) for name, shape in shapes.items()}
    mask = None
    for round in range(1, rounds + 1):
        before, mask = mask, draw_round(options, scores, dict.fromkeys(shapes, "conv"), mask, round)
        assert before is None or all(not (mask[name] & ~before[name]).any() for name in shapes)
    assert mask is not None
    assert 0 < mask.kept <= math.ceil(density * mask.size)


RELEASED = Random(schedule=Schedule(rounds=20, density=0.1), structure=AboveThreshold())


def test_twenty_rounds_of_the_released_rule_bring_weights_back_and_keep_what_is_asked() -> None:
    source = torch.Generator().manual_seed(3)
    mask = Mask.dense(SHAPES)
    back = 0
    for done in range(1, 21):
        scores = {name: torch.rand(shape, generator=source, dtype=torch.float64) for name, shape in SHAPES.items()}
        drawn = draw_round(RELEASED, scores, KINDS, mask, done)
        for pool in ([name for name in KINDS if name.startswith("generator")], ["critic.c1.weight"]):
            flat = torch.cat([scores[name].flatten() for name in pool])
            gone = int((1.0 - 0.1 ** (done / 20)) * len(flat))
            expected = flat > (flat.sort().values[gone - 1] if gone else -1)
            assert torch.equal(torch.cat([drawn[name].flatten() for name in pool]), expected)
        back += sum(int((drawn[name] & ~mask[name]).sum()) for name in KINDS)
        mask = drawn
    assert back > 100


@pytest.mark.parametrize(("tied", "refused"), [(4, False), (5, True)])
def test_a_ticket_that_ties_leave_five_weights_short_is_refused_in_the_last_round_only(
    tied: int, refused: bool
) -> None:
    options = Magnitude(schedule=Schedule(rounds=2, density=0.49), structure=AboveThreshold())
    kinds = {"net.a": "linear"}
    equal = {"net.a": torch.arange(100.0)}
    equal["net.a"][50 : 51 + tied] = 50
    many = {"net.a": torch.zeros(100)}
    first = draw_round(options, many, kinds, None, 1)
    assert first.kept == 0
    if refused:
        with pytest.raises(
            Shortfall, match="`above_threshold` keeps 44 weights after the last round, 49 are asked for"
        ):
            draw_round(options, equal, kinds, first, 2)
    else:
        assert draw_round(options, equal, kinds, first, 2).kept == 45


def test_the_released_rule_counts_as_released_in_every_scope() -> None:
    kinds = {"net.a": "conv", "net.b": "linear"}
    scores = {"net.a": torch.arange(1000.0), "net.b": torch.arange(1000.0, 3960.0)}
    for scope, kept in (("global", [605, 2960]), ("layer", [901, 2665])):
        options = Magnitude(schedule=Schedule(density=0.9), scope=scope, structure=AboveThreshold())
        assert list(draw_round(options, scores, kinds, None, 1).layer_kept().values()) == kept
    assert draw_round(Magnitude(schedule=Schedule(density=0.9)), scores, kinds, None, 1).kept == 3564


SMALL_LENET = {
    "net.features.0.weight": (6, 1, 3, 3),
    "net.features.2.weight": (6, 6, 3, 3),
    "net.classifier.0.weight": (24, 96),
    "net.classifier.2.weight": (10, 24),
}


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_four_rounds_by_percentile_are_those_of_the_lottery_ticket_class(scope: str) -> None:
    """Linear in the total: round t prunes t p of what there was; pruned weights are zero in the trainings between."""
    kinds = {name: "conv" if len(shape) == 4 else "linear" for name, shape in SMALL_LENET.items()}
    pools = [[name] for name in kinds] if scope == "layer" else [list(kinds)[:2], list(kinds)[2:]]
    schedule = Schedule(rounds=4, density=DensityByKind(conv=0.6, linear=0.2), spacing="linear")
    options = Magnitude(schedule=schedule, scope=scope, structure=Percentile())
    source = torch.Generator().manual_seed(5)
    mask = Mask.dense(SMALL_LENET)
    for t in range(1, 5):
        scores = {name: torch.randn(shape, generator=source).abs() * mask[name] for name, shape in SMALL_LENET.items()}
        drawn = draw_round(options, scores, kinds, mask, t)
        assert drawn.within(mask)
        for pool in pools:
            flat = np.concatenate([scores[name].numpy().ravel() for name in pool]).astype(np.float64)
            p = {"conv": 0.1, "linear": 0.2}[kinds[pool[0]]]
            kept = torch.cat([drawn[name].flatten() for name in pool]).numpy()
            assert np.array_equal(kept, flat > np.percentile(flat, 100 * t * p))
        mask = drawn


def test_a_percentile_prunes_one_weight_more_than_the_share() -> None:
    kinds = dict.fromkeys(SMALL_LENET, "conv")
    scores = {name: torch.randperm(torch.Size(shape).numel()).view(shape) + 1.0 for name, shape in SMALL_LENET.items()}
    schedule = Schedule(density=0.8)
    pruned = {}
    for rule in (Percentile(), Weights()):
        drawn = draw_round(Magnitude(schedule=schedule, scope="layer", structure=rule), scores, kinds, None, 1)
        pruned[rule.name] = [torch.Size(SMALL_LENET[name]).numel() - kept for name, kept in drawn.layer_kept().items()]
    assert pruned == {"percentile": [11, 65, 461, 48], "weights": [10, 64, 460, 48]}
    everything = Magnitude(schedule=Schedule(density=1.0), scope="layer", structure=Percentile())
    assert list(draw_round(everything, scores, kinds, None, 1).layer_kept().values()) == [53, 323, 2303, 239]
    fully = Magnitude(schedule=Schedule(density=DensityByKind(linear=0.5)), scope="layer", structure=Percentile())
    assert draw_round(fully, scores, kinds, None, 1).kept == sum(map(torch.numel, scores.values()))
