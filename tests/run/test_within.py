"""Sections inside sections are found at any depth, and replaced without touching the rest."""

import json

from ticketlab.run.within import replaced, within
from ticketlab.spec.augment import DiffAugment
from ticketlab.spec.metric import Frechet, Prdc
from ticketlab.spec.optimizer import Adam
from ticketlab.spec.section import Section
from ticketlab.spec.spec import Spec

PAGE = {
    "name": "x",
    "data": {"dataset": "cifar10"},
    "model": "sngan",
    "train": {
        "objective": "hinge",
        "steps": 1,
        "augment": ["diffaugment", "diffaugment"],
        "optimizer": {"kind": "adam"},
    },
    "evaluate": {"metrics": ["frechet", "prdc"]},
}
SPEC = Spec.model_validate_json(json.dumps(PAGE), strict=True)


def test_sections_are_found_where_they_stand() -> None:
    assert next(within(SPEC, Spec)) is SPEC
    assert [type(one) for one in within(SPEC, DiffAugment)] == [DiffAugment, DiffAugment]
    assert list(within(SPEC, Frechet)) == [Frechet()]
    assert sum(1 for _ in within(SPEC, Adam)) == 1
    assert list(within(3, Section)) == list(within(("a", None), Section)) == []


def test_what_is_replaced_is_new_and_the_rest_is_the_same_object() -> None:
    def steeper(one: Adam) -> Adam:
        return one.model_copy(update={"lr": 0.5})

    found = replaced(SPEC, Adam, steeper)
    assert [one.lr for one in within(found, Adam)] == [0.5]
    assert found.train is not SPEC.train
    assert (found.evaluate is SPEC.evaluate, found.model is SPEC.model) == (True, True)
    assert found.train.augment is SPEC.train.augment
    assert replaced(SPEC, Frechet, lambda one: one) is SPEC
    inner = replaced(SPEC, Prdc, lambda one: one.model_copy(update={"neighbours": 7})).evaluate.metrics or ()
    assert [getattr(one, "neighbours", None) for one in inner] == [None, 7]


def test_inner_sections_are_changed_before_those_around_them() -> None:
    seen: list[type[Section]] = []

    def note(one: Section) -> Section:
        seen.append(type(one))
        return one

    assert replaced(SPEC, Section, note) is SPEC
    assert seen[-1] is Spec
    assert seen.index(Adam) < seen.index(type(SPEC.train))
    assert len(seen) == len(list(within(SPEC, Section)))
