"""Other bits are to be expected only where the arithmetic is another and nothing else that counts."""

from __future__ import annotations

import pytest

from ticketlab.ledger.diff import Difference, Kind
from ticketlab.run.verify import _elsewhere


def differences(*found: tuple[Kind, str]) -> list[Difference]:
    return [Difference(kind, path, "then", "now") for kind, path in found]


@pytest.mark.parametrize(
    "found",
    [
        [("machine", "cpu")],
        [("environment", "threads"), ("environment", "packages.rich")],
        [("environment", "packages.torch"), ("data", "statistics.statistics.npz.sha256")],
        [("environment", "device"), ("code", "commit"), ("code", "tree")],
    ],
)
def test_another_arithmetic_alone_may_give_other_bits(found: list[tuple[Kind, str]]) -> None:
    assert _elsewhere(differences(*found))


@pytest.mark.parametrize(
    "found",
    [
        [],
        [("machine", "kernel")],
        [("environment", "packages.rich")],
        [("code", "commit")],
        [("machine", "cpu"), ("spec", "train.steps")],
        [("machine", "cpu"), ("code", "sources"), ("code", "commit")],
        [("machine", "cpu"), ("data", "data.fashion-mnist-mini.sha256")],
        [("data", "statistics.statistics.npz.sha256")],
    ],
)
def test_anything_else_may_not(found: list[tuple[Kind, str]]) -> None:
    assert not _elsewhere(differences(*found))


@pytest.mark.parametrize("path", ["steps.1. train, dense.threads", "steps.2. draw, round 1.cpu"])
def test_a_step_of_another_arithmetic_may_give_other_bits(path: str) -> None:
    assert _elsewhere(differences(("environment", path)))
    assert not _elsewhere(differences(("spec", path)))
    assert not _elsewhere(differences(("environment", path), ("spec", "train.steps")))
