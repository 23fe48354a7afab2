"""A step that only one run has parts none of the others."""

from __future__ import annotations

from dataclasses import replace

from ticketlab.ledger.diff import difference
from ticketlab.ledger.facts import RunFacts
from ticketlab.ledger.paired import paired
from ticketlab.ledger.statement import provenance

TITLES = ("train, dense", "evaluate accuracy", "draw, round 1", "train the ticket", "evaluate accuracy")


def with_steps(run: RunFacts, *titles: str) -> RunFacts:
    step = run.steps[0]
    named = [f"{number}. {title}" for number, title in enumerate(titles, 1)]
    return replace(run, steps=tuple(replace(step, name=name) for name in named))


def names(left: RunFacts, right: RunFacts) -> list[tuple[str | None, str | None]]:
    return [(one and one.name, other and other.name) for one, other in paired(left, right)]


def test_a_step_put_in_moves_the_numbers_of_the_others_only(run_facts: RunFacts) -> None:
    before, after = with_steps(run_facts, *TITLES), with_steps(run_facts, *TITLES[:2], "start", *TITLES[2:])
    expected = [(f"{number}. {title}", f"{number + (number > 2)}. {title}") for number, title in enumerate(TITLES, 1)]
    assert names(before, after) == [*expected[:2], (None, "3. start"), *expected[2:]]
    assert names(after, before) == [(other, one) for one, other in names(before, after)]


def test_only_the_step_put_in_is_a_difference(run_facts: RunFacts) -> None:
    before, after = with_steps(run_facts, *TITLES), with_steps(run_facts, "start", *TITLES)
    found = difference(provenance(before), provenance(after))
    assert [one.path for one in found] == ["steps.1. start.statistics.npz"]


def test_steps_of_one_title_keep_their_order(run_facts: RunFacts) -> None:
    run = with_steps(run_facts, *TITLES)
    assert names(run, run) == [(step.name, step.name) for step in run.steps]
    assert names(run, replace(run, steps=())) == [(step.name, None) for step in run.steps]
