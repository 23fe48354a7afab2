"""Other bits are to be expected only where the arithmetic is another and nothing else that counts."""

from __future__ import annotations

import pytest

from ticketlab.ledger.diff import Difference, Kind
from ticketlab.run.other_arithmetic import is_other_arithmetic


def differences(*found: tuple[Kind, str]) -> list[Difference]:
    return [Difference(kind, path, "then", "now") for kind, path in found]


@pytest.mark.parametrize(
    "found",
    [
        [("machine", "cpu")],
        [("environment", "threads"), ("environment", "packages.rich")],
        [("environment", "packages.torch"), ("data", "statistics.statistics.npz.sha256")],
        [("environment", "device"), ("code", "commit"), ("code", "tree")],
        [("machine", "cpu"), ("code", "sources"), ("code", "patch")],
        [("environment", "packages.torchvision")],
    ],
)
def test_another_arithmetic_alone_may_give_other_bits(found: list[tuple[Kind, str]]) -> None:
    assert is_other_arithmetic(differences(*found))


@pytest.mark.parametrize(
    "found",
    [
        [],
        [("machine", "kernel")],
        [("environment", "packages.rich")],
        [("code", "commit")],
        [("machine", "cpu"), ("spec", "train.steps")],
        [("machine", "cpu"), ("code", "sources"), ("code", "meaning")],
        [("machine", "cpu"), ("code", "meaning")],
        [("machine", "cpu"), ("data", "data.fashion-mnist-mini.sha256")],
        [("data", "statistics.statistics.npz.sha256")],
    ],
)
def test_anything_else_may_not(found: list[tuple[Kind, str]]) -> None:
    assert not is_other_arithmetic(differences(*found))


@pytest.mark.parametrize("path", ["steps.1. train, dense.threads", "steps.2. draw, round 1.cpu"])
def test_a_step_of_another_arithmetic_may_give_other_bits(path: str) -> None:
    assert is_other_arithmetic(differences(("environment", path)))
    assert not is_other_arithmetic(differences(("spec", path)))
    assert not is_other_arithmetic(differences(("environment", path), ("spec", "train.steps")))


def test_of_an_entry_that_says_nothing_of_its_meaning_the_sources_count() -> None:
    cpu = Difference("machine", "cpu", "then", "now")
    meaning = Difference("code", "meaning", None, "now")
    assert is_other_arithmetic([cpu, meaning])
    assert not is_other_arithmetic([cpu, meaning, Difference("code", "sources", "then", "now")])
