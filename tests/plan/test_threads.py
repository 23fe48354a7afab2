"""A plan says how many threads its steps use; what is asked, and so the identity of the run, does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ticketlab.cores import available_cores
from ticketlab.plan.experiment import Plan
from ticketlab.spec.identity import identity

ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()

pytestmark = pytest.mark.skipif(len(ALL) < 2, reason="a process can be given fewer cores only where it has several")


@pytest.fixture
def on_one_core() -> Iterator[Callable[[], None]]:
    """From its call on this process may use one core, as a worker on a smaller machine."""
    yield lambda: os.sched_setaffinity(0, {min(ALL)})
    os.sched_setaffinity(0, ALL)


def computes(plan: Plan) -> list[Any]:
    return [step.compute for _, step in plan.steps() if hasattr(step, "compute")]


def test_a_digest_made_where_there_are_fewer_cores_is_the_same(
    planned: Callable[..., Plan], on_one_core: Callable[[], None]
) -> None:
    steps = [step for _, step in planned("gan").steps()]
    digests = [step.digest for step in steps]
    on_one_core()
    assert available_cores() == 1
    assert [step.digest_now() for step in steps] == digests


def test_null_is_the_cores_where_the_run_is_planned(
    planned: Callable[..., Plan], on_one_core: Callable[[], None]
) -> None:
    everywhere = planned("gan")
    assert {compute.threads for compute in computes(everywhere)} == {len(ALL)}
    on_one_core()
    here = planned("gan")
    assert {compute.threads for compute in computes(here)} == {1}
    spelled = planned("gan", "compute.threads=1")
    assert [step.digest for _, step in here.steps()] == [step.digest for _, step in spelled.steps()]
    assert [step.digest for _, step in here.steps()] != [step.digest for _, step in everywhere.steps()]


def test_what_is_asked_stays_what_was_written(planned: Callable[..., Plan], on_one_core: Callable[[], None]) -> None:
    before = planned("gan").cells[0].spec
    assert before.compute.threads is None
    on_one_core()
    after = planned("gan").cells[0].spec
    assert identity(after) == identity(before)
    assert after.asks() == before.asks()


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_gpu_that_is_named_does_the_sums_whatever_the_threads(planned: Callable[..., Plan], device: str) -> None:
    def digests(*overrides: str) -> list[str]:
        return [step.digest for _, step in planned("gan", *overrides).steps()]

    assert digests(f"compute.device={device}", "compute.threads=1") == digests(
        f"compute.device={device}", "compute.threads=8"
    )
    assert digests("compute.device=auto", "compute.threads=1") != digests("compute.device=auto", "compute.threads=8")
