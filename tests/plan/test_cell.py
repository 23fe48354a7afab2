"""Work that arms, cells and seeds have in common is planned once."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ticketlab.plan.arm import ArmPlan
from ticketlab.plan.experiment import Plan
from ticketlab.plan.measured import between
from ticketlab.plan.steps import Control, Draw, Step, Train


def arm(plan: Plan, name: str) -> ArmPlan:
    return next(address.plan for address in plan.arms() if address.name == name)


def of_kind(plan: Plan, kind: type[Step]) -> list[Step]:
    return [step for _, step in plan.steps() if isinstance(step, kind)]


def own_trainings(plan: Plan) -> list[Step]:
    return [step for step in of_kind(plan, Train) if step.title != "train the feature extractor"]


@pytest.mark.parametrize("rewind", ["init", "none", "{step: 5}"])
def test_the_dense_arm_is_the_training_before_the_first_pruning(rewind: str, planned: Callable[..., Plan]) -> None:
    plan = planned("gan", f"ticket.rewind={rewind}")
    dense, ticket = arm(plan, "dense"), arm(plan, "ticket")
    assert dense.final.train.digest == ticket.rounds[0].train.digest
    assert dense.final.evaluate.digest == ticket.rounds[0].evaluate.digest
    assert dense.final.mask is None


def test_a_dense_arm_of_another_length_is_a_training_of_its_own(planned: Callable[..., Plan]) -> None:
    plan = planned("gan", "ticket.round_steps=7")
    assert arm(plan, "dense").final.train.digest != arm(plan, "ticket").rounds[0].train.digest


def test_rounds_are_as_long_as_a_list_says_and_the_first_is_the_dense_training_where_it_is_as_long(
    planned: Callable[..., Plan],
) -> None:
    plan = planned("classifier", "ticket.schedule.rounds=4", "ticket.round_steps=[20, 7, 5]")
    dense, ticket = arm(plan, "dense"), arm(plan, "ticket")
    assert [one.train.objective.steps for one in (*ticket.rounds, ticket.final)] == [20, 7, 5, 5, 20]
    assert dense.final.train.digest == ticket.rounds[0].train.digest
    assert len(own_trainings(plan)) == 5


@pytest.mark.parametrize(
    ("one", "other"), [("[7]", "7"), ("[7, 7]", "7"), ("[7, 5, 9]", "[7, 5]"), ("[20, 7]", "[20, 7, 7]")]
)
def test_two_ways_to_write_the_lengths_of_two_rounds_are_one_plan(
    one: str, other: str, planned: Callable[..., Plan]
) -> None:
    digests = [
        [step.digest for _, step in planned("gan", f"ticket.round_steps={text}").steps()] for text in (one, other)
    ]
    assert digests[0] == digests[1]


def test_ten_densities_share_a_trunk_whose_rounds_differ_in_length(planned: Callable[..., Plan]) -> None:
    plan = planned(
        "classifier",
        "matrix={ticket.schedule.rounds: [10, 1, 2, 3, 4, 5, 6, 7, 8, 9]}",
        "ticket.round_steps=[20, 7, 7, 5]",
    )
    assert len(of_kind(plan, Draw)) == 10
    assert len(own_trainings(plan)) == 10 + 10


def test_ten_densities_share_one_trunk(planned: Callable[..., Plan]) -> None:
    plan = planned("classifier", "matrix={ticket.schedule.rounds: [10, 1, 2, 3, 4, 5, 6, 7, 8, 9]}")
    assert len(list(plan.arms())) == 20
    assert len(of_kind(plan, Draw)) == 10
    assert len(own_trainings(plan)) == 11


@pytest.mark.parametrize("rewind", ["none", "{step: 5}"])
def test_ten_densities_share_one_trunk_however_it_is_rewound(rewind: str, planned: Callable[..., Plan]) -> None:
    rounds = "matrix={ticket.schedule.rounds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}"
    plan = planned("classifier", rounds, f"ticket.rewind={rewind}")
    assert (len(of_kind(plan, Draw)), len(own_trainings(plan))) == (10, 11)


def test_rounds_towards_a_density_are_shared_only_where_they_keep_equally_many(planned: Callable[..., Plan]) -> None:
    plan = planned(
        "classifier", "ticket.schedule={rounds: 1, density: 0.25}", "matrix={ticket.schedule.rounds: [1, 2]}"
    )
    assert len(of_kind(plan, Draw)) == 3
    assert len(own_trainings(plan)) == 1 + 1 + 2


def test_controls_branch_from_the_mask_of_the_ticket(planned: Callable[..., Plan]) -> None:
    plan = planned("gan")
    ticket, fresh = arm(plan, "ticket"), arm(plan, "fresh_weights")
    assert ticket.final.mask is not None
    for name in ("random", "shuffled"):
        control = arm(plan, name)
        assert isinstance(control.final.mask, Control)
        assert control.final.mask.control.name == name
        assert control.final.mask.inputs["mask"].digest == ticket.final.mask.digest
        assert control.final.train.inputs["mask"].digest == control.final.mask.digest
        assert [one.train.digest for one in control.rounds] == [one.train.digest for one in ticket.rounds]
    assert fresh.final.train.inputs["mask"].digest == ticket.final.mask.digest
    assert (fresh.final.train.initial, ticket.final.train.initial) == ("fresh", "init")
    finals = {arm(plan, one.plan.arm).final.train.digest for one in plan.arms()}
    assert len(finals) == 5


def test_two_seeds_share_what_they_are_measured_by_and_nothing_else(planned: Callable[..., Plan]) -> None:
    first, second = ({step.digest: step.title for _, step in planned("gan", f"seed={seed}").steps()} for seed in (0, 1))
    shared = first.keys() & second.keys()
    assert {first[digest] for digest in shared} == {
        "train the feature extractor",
        "reference statistics of fashion-mnist-mini (train)",
    }
    assert len(shared) == 2


def test_all_arms_and_seeds_are_measured_by_one_extractor_on_all_images(planned: Callable[..., Plan]) -> None:
    plan = planned("gan", "matrix={seed: [0, 1], data.ratio: [0.1, 0.5, 1.0]}")
    extractors = [step for step in of_kind(plan, Train) if step.title == "train the feature extractor"]
    assert len(extractors) == 1
    assert not extractors[0].inputs
    assert len([step for _, step in plan.steps() if step.kind == "statistics"]) == 1


def test_a_round_starts_where_the_rewinding_says(planned: Callable[..., Plan]) -> None:
    to_init, kept_on, to_step = (
        [*arm(plan, "ticket").rounds, arm(plan, "ticket").final]
        for plan in (planned("gan", f"ticket.rewind={rewind}") for rewind in ("init", "none", "{step: 5}"))
    )
    assert all("rewound" not in one.train.inputs and one.train.begin == 0 for one in to_init)
    assert "rewound" not in kept_on[0].train.inputs
    for before, after in itertools.pairwise(kept_on):
        assert after.train.inputs["rewound"].digest == before.train.digest
        assert after.train.begin == 0
    first, *later = to_step
    assert (first.train.keep, first.train.begin) == (5, 0)
    assert all(one.train.begin == 5 for one in later)
    assert {one.train.inputs["rewound"].digest for one in later} == {first.train.digest}


def test_fresh_weights_start_from_nothing_that_was_trained(planned: Callable[..., Plan]) -> None:
    for rewind in ("none", "{step: 5}"):
        training = arm(planned("gan", f"ticket.rewind={rewind}"), "fresh_weights").final.train
        assert "rewound" not in training.inputs
        assert training.begin == 0


def test_a_ticket_drawn_at_initialisation_needs_no_training_before_it(planned: Callable[..., Plan]) -> None:
    ticket = arm(planned("classifier", "ticket.round_steps=0"), "ticket")
    assert ticket.rounds == ()
    assert [step.kind for step in ticket.steps()] == ["draw", "train", "evaluate"]


def test_a_subset_is_planned_only_where_images_are_left_out(planned: Callable[..., Plan]) -> None:
    def counts(*overrides: str) -> list[int]:
        return [step.count for _, step in planned("classifier", *overrides).steps() if step.kind == "subset"]  # type: ignore[attr-defined]

    assert counts() == []
    assert counts("data.ratio=1") == []
    assert counts("data.ratio=0.1") == [600]
    assert counts("data.count=17") == [17]


def test_a_share_of_the_images_is_the_decimal_number_that_was_written(planned: Callable[..., Plan]) -> None:
    assert int(6000 * 0.0045) == 26
    plan = planned("classifier", "data.ratio=0.0045")
    assert [step.count for _, step in plan.steps() if step.kind == "subset"] == [27]  # type: ignore[attr-defined]


def test_a_classifier_is_measured_without_extractor_and_statistics(planned: Callable[..., Plan]) -> None:
    assert {step.kind for _, step in planned("classifier").steps()} == {"train", "draw", "evaluate"}


def test_a_cadence_that_never_comes_is_no_part_of_a_training(planned: Callable[..., Plan]) -> None:
    """Trainings of 20 steps, after rounds of 8."""
    short = ("ticket.round_steps=8",)
    without, rounds, never = (
        planned("classifier", *short, *more) for more in ((), ("evaluate.every=10",), ("evaluate.every=20",))
    )
    assert [step.digest for _, step in never.steps()] == [step.digest for _, step in without.steps()]
    before, after = arm(without, "ticket"), arm(rounds, "ticket")
    assert [one.train.digest for one in after.rounds] == [one.train.digest for one in before.rounds]
    assert after.final.train.digest != before.final.train.digest
    assert after.final.curve is not None
    assert [one.curve for one in (*after.rounds, before.final)] == [None, None, None]


def test_a_training_is_looked_at_after_its_begin_and_before_its_end() -> None:
    for begin, end, every in itertools.product(range(7), range(1, 9), range(1, 10)):
        expected = [step for step in range(begin + 1, end) if step % every == 0]
        assert list(between(begin, end, every)) == expected


def test_scores_derive_the_plain_loss_however_the_training_smooths_its_labels(planned: Callable[..., Plan]) -> None:
    ticket = "ticket={method: snip, schedule: {density: 0.5}}"
    plain, smooth = (planned("classifier", ticket, f"train.label_smoothing={share}") for share in (0.0, 0.1))
    (draw,), (other,) = of_kind(plain, Draw), of_kind(smooth, Draw)
    assert draw.digest == other.digest
    assert arm(plain, "ticket").final.train.digest != arm(smooth, "ticket").final.train.digest
