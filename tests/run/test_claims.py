"""One run at a time publishes under a name; one that waits can be stopped, and a full disk is said in one line."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ticketlab
from ticketlab.errors import EnvironmentProblem, Interrupted
from ticketlab.plan.experiment import Plan
from ticketlab.run import store as store_module
from ticketlab.run.claims import claimed_alone, held
from ticketlab.run.events import Event, Notice, StepStarted
from ticketlab.run.experiment import run
from ticketlab.run.store import Store


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "PATIENCE", 0.05)


@pytest.fixture
def plan_named() -> Callable[[str], Plan]:
    return lambda name: Plan(name, Path("x.yaml"), "0" * 64, ())


def test_a_second_run_of_a_name_waits_with_one_notice_and_runs_of_other_names_do_not(
    lab: Path, plan_named: Callable[[str], Plan]
) -> None:
    events: list[Event] = []
    entered = threading.Event()

    def second() -> None:
        with held(plan_named("tiny"), Store(lab), events.append):
            entered.set()

    with held(plan_named("tiny"), Store(lab), events.append):
        with held(plan_named("other"), Store(lab), events.append):
            assert events == []
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not entered.wait(0.5)
    assert entered.wait(10)
    waiting.join()
    assert events == [Notice("another run of `tiny` is going on; waiting for it")]


def test_waiting_ends_with_the_wish_to_stop(lab: Path, plan_named: Callable[[str], Plan]) -> None:
    plan = plan_named("tiny")
    with (
        held(plan, Store(lab), lambda event: None),
        pytest.raises(Interrupted, match="waiting for another run"),
        held(plan, Store(lab), lambda event: None, lambda: True),
    ):
        pass
    assert not list((lab / "claims").iterdir())


def test_what_the_system_says_of_a_file_is_an_error_for_the_user(lab: Path, plan_named: Callable[[str], Plan]) -> None:
    with (
        pytest.raises(EnvironmentProblem, match="No space left on device") as told,
        held(plan_named("tiny"), Store(lab), lambda event: None),
    ):
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/file")
    assert told.value.where == "/somewhere/file"
    assert "ticketlab clean" in told.value.mend


RESTING = """
import sys, time
from pathlib import Path
from ticketlab.run.claims import claimed
print("here", flush=True)
with claimed(Path(sys.argv[1]), sys.argv[2:]):
    print("claimed", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def resting() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts another process that rests on steps until it is killed."""
    begun: list[subprocess.Popen[str]] = []

    def start(lab: Path, *digests: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", RESTING, str(lab), *digests], stdout=subprocess.PIPE, text=True
        )
        begun.append(process)
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["here\n", "claimed\n"]
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def test_nothing_is_thrown_away_that_another_process_rests_on(
    specks: Path, resting: Callable[..., subprocess.Popen[str]]
) -> None:
    experiment = ticketlab.plan(specks / "specs" / "small.yaml")
    ticketlab.run(experiment)
    steps = [step for _, step in experiment.plan.steps()]
    other = resting(experiment.store.root, "0" * 64, steps[0].digest)
    events: list[Event] = []
    with pytest.raises(Interrupted, match="waiting for another run"):
        run(experiment, events.append, fresh=True, stopping=lambda: True)
    assert all(experiment.store.has(step) for step in steps)
    (told,) = [event.text for event in events if isinstance(event, Notice)]
    assert "another run rests on steps" in told
    assert len(list((experiment.store.root / "claims").iterdir())) == 1, "who waits, claims nothing"
    other.kill()
    other.wait()
    events.clear()
    assert run(experiment, events.append, fresh=True).failures == []
    assert len([event for event in events if isinstance(event, StepStarted)]) == len(steps)


def test_what_others_rest_on_matters_only_where_it_is_the_same(
    specks: Path, resting: Callable[..., subprocess.Popen[str]]
) -> None:
    experiment = ticketlab.plan(specks / "specs" / "small.yaml")
    resting(experiment.store.root, "0" * 64)
    begun: list[int] = []
    with claimed_alone(experiment.store.root, ["1" * 64], lambda: begun.append(1), lambda first: pytest.fail("waits")):
        assert begun == [1]


def test_nobody_begins_to_rest_on_what_is_being_thrown_away(
    lab: Path,
) -> None:
    seen: list[bool] = []
    started: list[subprocess.Popen[str]] = []

    def begin() -> None:
        started.append(
            subprocess.Popen([sys.executable, "-c", RESTING, str(lab), "1" * 64], stdout=subprocess.PIPE, text=True)
        )
        assert started[0].stdout is not None
        assert started[0].stdout.readline() == "here\n"
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline and not seen:
            seen.extend(True for _ in (lab / "claims").glob("*.json"))
            time.sleep(0.05)

    with claimed_alone(lab, ["1" * 64], begin, lambda first: None):
        assert seen == []
        (process,) = started
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n", "and then it can"
    process.kill()
    process.communicate()
