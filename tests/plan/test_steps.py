"""A step's digest holds all that its result depends on, and nothing that it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from pydantic import BaseModel

from ticketlab.plan.experiment import Plan
from ticketlab.plan.steps import Images, Measurement, Step, Train
from ticketlab.spec.compute import Compute
from ticketlab.spec.evaluate import LabClassifier

KINDS = ("subset", "train", "draw", "control", "statistics", "curve", "evaluate")
HARMLESS = {"label", "checkpoint_seconds", "log_every", "workers"}


def step_of(plan: Plan, kind: str) -> Step:
    """The last step of a kind: of trainings, one under a mask."""
    return [step for _, step in plan.steps() if step.kind == kind][-1]


def other_values(value: Any) -> Iterator[tuple[str, Any]]:
    """Values of the same form that differ from `value` in one place, with the name of the innermost field changed."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            for inner, other in other_values(getattr(value, name)):
                yield inner or name, value.model_copy(update={name: other})
    elif isinstance(value, Images | Measurement):
        for item in fields(value):
            for inner, other in other_values(getattr(value, item.name)):
                yield inner or item.name, replace(value, **{item.name: other})
    elif isinstance(value, tuple):
        yield "", (*value, *value[-1:]) if value else (LabClassifier(),)
        for position, part in enumerate(value):
            for inner, other in other_values(part):
                yield inner, (*value[:position], other, *value[position + 1 :])
    elif value is None:
        yield "", 7
    elif isinstance(value, bool):
        yield "", not value
    elif isinstance(value, str):
        yield "", f"{value}-other"
    else:
        yield "", value + 1


@pytest.mark.filterwarnings("ignore:Pydantic serializer")
@pytest.mark.parametrize("kind", KINDS)
def test_a_digest_changes_with_every_asked_value_and_with_nothing_else(kind: str, planned: Callable[..., Plan]) -> None:
    step = step_of(planned("gan"), kind)
    changed, kept = set(), set()
    for item in fields(step):
        if item.name == "inputs":
            continue
        for inner, other in other_values(getattr(step, item.name)):
            digest = replace(step, **{item.name: other}).digest
            harmless = (inner or item.name) in HARMLESS
            assert (digest == step.digest) == harmless, (item.name, inner)
            (kept if harmless else changed).add(item.name)
    assert changed | kept == {item.name for item in fields(step)} - {"inputs"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_digest_changes_with_every_input_and_the_role_it_plays(kind: str, planned: Callable[..., Plan]) -> None:
    plan = planned("gan")
    step = step_of(plan, kind)
    stranger = step_of(planned("classifier"), "train")
    seen = {step.digest, replace(step, inputs={**step.inputs, "another": stranger}).digest}
    for role in step.inputs:
        without = {name: needed for name, needed in step.inputs.items() if name != role}
        seen |= {replace(step, inputs=without).digest, replace(step, inputs={**step.inputs, role: stranger}).digest}
        seen.add(replace(step, inputs={**without, f"{role}s": step.inputs[role]}).digest)
    assert len(seen) == 2 + 3 * len(step.inputs)


def test_a_change_of_an_early_step_reaches_every_step_after_it(planned: Callable[..., Plan]) -> None:
    step = step_of(planned("gan"), "evaluate")
    subset = next(needed for needed in step.lineage() if needed.kind == "subset")

    def rebuilt(node: Step) -> Step:
        if node is subset or node.digest == subset.digest:
            return replace(node, seed=9)
        return replace(node, inputs={role: rebuilt(needed) for role, needed in node.inputs.items()})

    before = {needed.digest for needed in step.lineage()}
    after = list(rebuilt(step).lineage())
    reached = [needed.kind for needed in after if needed.digest not in before]
    untouched = [needed.kind for needed in after if needed.digest in before]
    assert sorted(untouched) == ["statistics", "train"]
    assert reached == ["subset", "train", "draw", "train", "draw", "train", "evaluate"]


def test_steps_of_different_kinds_never_meet(planned: Callable[..., Plan]) -> None:
    digests = [step.digest for _, step in planned("gan").steps()]
    assert len(set(digests)) == len(digests)


def test_lineage_gives_every_step_after_what_it_needs_and_once(planned: Callable[..., Plan]) -> None:
    for _, step in planned("gan").steps():
        done: set[str] = set()
        for needed in step.lineage():
            assert all(before.digest in done for before in needed.inputs.values())
            assert needed.digest not in done
            done.add(needed.digest)
        assert step.digest in done


def test_every_choice_among_the_asked_values_brings_its_source(planned: Callable[..., Plan]) -> None:
    plan = planned("gan")
    training = [step for _, step in plan.steps() if isinstance(step, Train)][-1]
    assert set(training.sources()) == {
        "ticketlab.run.steps.train",
        "ticketlab.models.sngan",
        "ticketlab.training.adversarial",
        "ticketlab.training.optimizers",
        "ticketlab.training.rates",
        "ticketlab.augment.diffaugment",
        "ticketlab.datasets.held",
        "ticketlab.datasets.labels",
    }
    measuring = {"run.steps.measure_samples", "metrics.extractors", "metrics.frechet", "metrics.prdc", "models.convnet"}
    assert {f"ticketlab.{module}" for module in measuring} <= set(step_of(plan, "curve").sources())
    drawing = {"magnitude", "scope", "structure"}
    assert {f"ticketlab.tickets.{module}" for module in drawing} <= set(step_of(plan, "draw").sources())
    assert "ticketlab.tickets.structure" in step_of(plan, "control").sources()
    assert "ticketlab.models.convnet" in step_of(plan, "statistics").sources()


def test_a_metric_more_trains_and_draws_nothing_again(planned: Callable[..., Plan]) -> None:
    before = {step.digest for _, step in planned("gan").steps()}
    more = planned("gan", "evaluate.metrics=[frechet, prdc, kernel]", "evaluate.samples=30")
    again = {step.kind for _, step in more.steps() if step.digest not in before}
    assert again == {"statistics", "curve", "evaluate"}


def test_how_often_one_looks_is_no_part_of_a_step(planned: Callable[..., Plan]) -> None:
    often = planned("gan", "compute.checkpoint_seconds=0", "compute.log_every=1")
    assert [step.digest for _, step in often.steps()] == [step.digest for _, step in planned("gan").steps()]
    assert set(Compute.model_fields) - set(step_of(often, "train").asks()["compute"]) == HARMLESS - {"label"}
