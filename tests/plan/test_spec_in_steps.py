"""What the spec language decides reaches a step as values of its digest: no code of it runs there unseen."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ticketlab
from ticketlab.plan.decided import decided
from ticketlab.plan.experiment import Plan
from ticketlab.plan.sources import closure
from ticketlab.plan.steps import Draw, Train
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.evaluate import LabClassifier
from ticketlab.spec.language import every_section
from ticketlab.spec.regulariser import AdversarialFeatures
from ticketlab.spec.section import Section
from ticketlab.spec.start import RELEASED, TorchvisionWeights
from ticketlab.spec.task import Task
from ticketlab.spec.ticket import EdgePopup, Magnitude
from ticketlab.spec.train import Hinge

ROOT = Path(ticketlab.__file__).parent
NAMED = re.compile(r"(ticketlab(?:\.\w+)+):\w+")

OF_DATASETS = {"KNOWN", "NAME", "DatasetFacts", "facts", "label_kind"}
"""Facts of datasets: a step asks for the digest of its images and for what opens and labels them; facts only refuse."""

TOLD_APART = {"PinnedFile", "Section", "StartChoice"}
"""Classes that a value is told apart by, with what Pydantic gives them; their own code is not run."""


def path_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def step_modules() -> list[str]:
    """All modules that some step can run, those of `plan` aside: what these take from the spec is what steps ask for."""
    texts = (path.read_text() for path in sorted(ROOT.rglob("*.py")))
    named = {module for text in texts for module in NAMED.findall(text)}
    reached = closure(tuple(sorted(named)))
    assert {"ticketlab.run.steps.train", "ticketlab.models.spectral", "ticketlab.tickets.scope"} <= set(reached)
    return [module for module in reached if not module.startswith("ticketlab.plan.")]


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from running(child)


TREES = {module: ast.parse(path_of(module).read_bytes()) for module in step_modules()}


def test_steps_import_nothing_of_the_spec_that_computes() -> None:
    taken = {
        (module, alias.name)
        for module, tree in TREES.items()
        for node in running(tree)
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("ticketlab.spec.")
        for alias in node.names
    }
    datasets = {one for one in taken if one[0].startswith("ticketlab.datasets.")}
    assert {name for _, name in datasets} <= OF_DATASETS
    assert {name for _, name in taken - datasets} <= TOLD_APART
    whole = [
        module
        for module, tree in TREES.items()
        for node in running(tree)
        if isinstance(node, ast.Import) and any(alias.name.startswith("ticketlab.spec") for alias in node.names)
    ]
    assert whole == []


def members(kind: type[Section]) -> Iterator[tuple[str, Any]]:
    for base in kind.__mro__:
        if issubclass(base, Section):
            yield from vars(base).items()


def test_steps_call_no_method_of_a_section_and_make_none() -> None:
    """By name: a method elsewhere of the name of one in the spec has to be called otherwise."""
    methods = {
        name
        for kind in every_section()
        for name, member in members(kind)
        if (inspect.isfunction(member) or isinstance(member, classmethod)) and not name.startswith("_")
    }
    assert {"settled", "training", "forwards"} <= methods
    methods.remove("counting")  # what the digest itself is of
    called = [
        (module, node.lineno, ast.unparse(node.func))
        for module, tree in TREES.items()
        for node in running(tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr in methods)
            or (isinstance(node.func, ast.Call) and ast.unparse(node.func.func) == "type")
        )
    ]
    assert called == []


PLAIN = {"str", "int", "float", "bool", "None", "tuple", "frozenset"}


def test_all_that_a_class_of_the_lab_decides_is_a_value_or_a_task() -> None:
    sections = {base for kind in every_section() for base in kind.__mro__ if issubclass(base, Section)}
    countable = PLAIN | {kind.__name__ for kind in sections} | {"Names"}
    for kind in sections:
        for name in kind.__class_vars__ - {"model_config"}:
            value = getattr(kind, name, None)
            parts = value if isinstance(value, tuple | frozenset) else (value,)
            assert all(isinstance(part, str | int | float | Task | None) for part in parts), (kind, name)
        for name, member in vars(kind).items():
            if isinstance(member, property):
                assert member.fget is not None
                returned = str(inspect.signature(member.fget).return_annotation)
                assert set(re.findall(r"\w+", returned)) <= countable, (kind, name, returned)


def test_constants_and_properties_are_values() -> None:
    assert decided(EdgePopup(density=0.5))["schedule"] == Schedule(density=0.5).counting()
    assert decided(EdgePopup(density=0.5))["weights_learn"] is False
    assert decided(AdversarialFeatures(on=("critic",)))["works_on"] == ["critic.features", "critic.head"]
    assert decided(Schedule(rate=0.5)) == {}
    by_kind = Schedule.model_validate({"rate": {"conv": 0.5}})
    assert decided(by_kind) == {"by_kind": {"conv": 0.5, "linear": None}}
    released = decided(TorchvisionWeights())["released"]
    assert f"resnet18-{RELEASED['IMAGENET1K_V1', 18]}.pth" in released
    assert decided(LabClassifier(steps=3))["usual"] == LabClassifier().counting()


class ElsewhereInParts(AdversarialFeatures):
    """Another edition of the class: equal fields and constants, and it works on other parts."""

    @property
    def works_on(self) -> frozenset[str]:
        """None."""
        return frozenset()


class InTwoRounds(EdgePopup):
    """Another edition of edge-popup, of equal fields."""

    @property
    def schedule(self) -> Schedule:
        """Half of the way."""
        return Schedule(density=self.density, rounds=2)


class ByNoKind(Schedule):
    """Another edition of the schedule, of equal fields."""

    @property
    def by_kind(self) -> None:
        """Never."""
        return


@pytest.mark.parametrize("edition", [ElsewhereInParts, InTwoRounds, ByNoKind])
def test_an_edition_of_a_class_that_decides_otherwise_makes_another_step(
    edition: type[Section], planned: Callable[..., Plan]
) -> None:
    steps = [step for _, step in planned("gan").steps()]
    train = next(step for step in steps if isinstance(step, Train) and isinstance(step.objective, Hinge))
    draw = next(step for step in steps if isinstance(step, Draw))
    original = edition.__bases__[0]

    def digest(kind: type[Any]) -> str:
        if original is AdversarialFeatures:
            regularised = train.objective.model_copy(update={"regularisers": (kind(),)})
            return replace(train, objective=regularised).digest
        if original is EdgePopup:
            return replace(train, evolving=kind(density=0.5)).digest
        schedule = kind.model_validate({"rate": {"conv": 0.5}})
        return replace(draw, ticket=Magnitude(schedule=schedule)).digest

    found = {kind: digest(kind) for kind in (original, edition)}
    assert found[original] != found[edition]


def test_two_choices_of_one_name_are_both_counted(planned: Callable[..., Plan]) -> None:
    """One of them does not stand for the other."""
    train = next(
        step for _, step in planned("gan").steps() if isinstance(step, Train) and isinstance(step.objective, Hinge)
    )
    one = AdversarialFeatures()
    pairs = ((one, one), (ElsewhereInParts(), one), (one, ElsewhereInParts()))
    digests = {
        replace(train, objective=train.objective.model_copy(update={"regularisers": pair})).digest for pair in pairs
    }
    assert len(digests) == 3


def test_what_stands_for_no_label_is_in_every_step_that_reads_maps() -> None:
    for module in ("training.segmentation", "metrics.segmentation", "augment.shift", "datasets.labels"):
        assert "ticketlab.label_map" in closure((f"ticketlab.{module}",))
