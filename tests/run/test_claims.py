"""One run at a time publishes under a name; one that waits can be stopped, and a full disk is said in one line."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketlab.errors import EnvironmentProblem, Interrupted
from ticketlab.plan.experiment import Plan
from ticketlab.run import store as store_module
from ticketlab.run.claims import held
from ticketlab.run.events import Event, Notice
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
