"""What is finished is not done again, what is damaged is, and two processes do a step once."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketlab.errors import CorruptFile, StepFailed
from ticketlab.files import canonical_json
from ticketlab.plan.steps import Step
from ticketlab.run.events import Event, Notice, Progress, StepFinished, StepStarted
from ticketlab.run.execute import Executor
from ticketlab.run.journal import rows
from ticketlab.run.store import Store

Made = Callable[..., Step]
Executors = Callable[..., Executor]


def test_a_step_is_performed_once_and_told_about(
    counting: Made, executor: Executors, performed: Callable[[], list[int]]
) -> None:
    events: list[Event] = []
    step = counting(7)
    first = executor(events).ensure(step, "ticket", 2, 5)
    assert [type(event) for event in events] == [StepStarted, Progress, StepFinished]
    assert isinstance(events[0], StepStarted)
    assert (events[0].cell, events[0].position, events[0].total, events[0].length) == ("ticket", 2, 5, None)
    again = executor(events).ensure(step, "ticket")
    assert (again.folder, again.files) == (first.folder, dict(first.files))
    assert len(events) == 3
    assert performed() == [7]


def test_a_step_is_given_the_folders_of_its_inputs(counting: Made, executor: Executors) -> None:
    one, two = counting(1), counting(2)
    both = counting(3, {"left": one, "right": two})
    work = executor()
    for step in both.lineage():
        work.ensure(step, "ticket")
    assert work.store.has(both)


@pytest.mark.parametrize("harm", ["flip", "lost", "record"])
def test_a_damaged_step_is_done_again_with_a_notice(
    counting: Made, executor: Executors, performed: Callable[[], list[int]], harm: str
) -> None:
    step = counting(1)
    result = executor().ensure(step, "ticket")
    before = dict(result.files)
    path = result.path("words.txt")
    if harm == "lost":
        path.unlink()
    elif harm == "flip":
        path.write_text(path.read_text().replace("words", "wordz", 1))
    else:
        (result.folder / "step.json").write_bytes(b"{")
    events: list[Event] = []
    assert executor(events).ensure(step, "ticket").files == before
    assert isinstance(events[0], Notice)
    assert "done again" in events[0].text
    assert performed() == [1, 1]
    assert executor().ensure(step, "ticket").files == before
    assert performed() == [1, 1]
    assert rows(Store(executor().store.root).journal(step)) == [{"step": 1, "number": 1.0}]


def chain(counting: Made) -> list[Step]:
    first = counting(1)
    second = counting(2, {"start": first})
    return [first, second, counting(3, {"start": second})]


def all_ensured(executor: Executors, steps: list[Step], events: list[Event] | None = None) -> list[str]:
    work = executor(events)
    return [work.ensure(step, "ticket").path("bits.txt").read_text() for step in steps]


def test_what_was_made_from_other_bits_of_an_input_is_done_again(
    counting: Made, executor: Executors, performed: Callable[[], list[int]], tmp_path: Path
) -> None:
    steps = chain(counting)
    machine = tmp_path / "machine"
    machine.write_text("a")
    assert all_ensured(executor, steps) == ["a", "aa", "aaa"]
    store = executor().store
    record = json.loads((store.folder(steps[1]) / "step.json").read_bytes())
    outputs = json.loads((store.folder(steps[0]) / "step.json").read_bytes())["outputs"]
    assert record["inputs"] == {"start": hashlib.sha256(canonical_json(outputs)).hexdigest()}

    machine.write_text("b")
    store.result(steps[0]).path("words.txt").unlink()
    executor().ensure(steps[0], "ticket")
    assert [store.has(step) for step in steps] == [True, False, True]
    with pytest.raises(CorruptFile, match="another result of its input `start`"):
        store.result(steps[1])
    events: list[Event] = []
    assert all_ensured(executor, steps, events) == ["b", "bb", "bbb"]
    assert [event.text.count("input `start`") for event in events if isinstance(event, Notice)] == [1, 1]
    assert performed() == [1, 2, 3, 1, 2, 3]
    assert [store.has(step) for step in steps] == [True, True, True]


def test_an_input_that_comes_out_the_same_or_is_cleaned_away_costs_nothing(
    counting: Made, executor: Executors, performed: Callable[[], list[int]]
) -> None:
    steps = chain(counting)
    all_ensured(executor, steps)
    store = executor().store
    store.discard(steps[0])
    assert store.has(steps[1])
    assert store.result(steps[2], check=True)
    assert all_ensured(executor, steps) == ["0", "00", "000"]
    assert performed() == [1, 2, 3, 1]


def test_work_that_was_begun_on_other_bits_of_an_input_starts_over(
    counting: Made, executor: Executors, lab: Path, tmp_path: Path
) -> None:
    first = counting(1)
    fails = counting(-1, {"start": first})
    executor().ensure(first, "ticket")
    begun = lab / "work" / fails.digest / "begun"
    for attempt in (1, 2):
        with pytest.raises(StepFailed):
            executor().ensure(fails, "ticket")
        assert begun.read_text() == "x" * attempt
    (tmp_path / "machine").write_text("b")
    executor().store.discard(first)
    executor().ensure(first, "ticket")
    events: list[Event] = []
    with pytest.raises(StepFailed):
        executor(events).ensure(fails, "ticket")
    assert begun.read_text() == "x"
    assert any(isinstance(event, Notice) and "starts over" in event.text for event in events)


def test_a_step_that_fails_leaves_its_work_and_no_result(
    counting: Made, executor: Executors, lab: Path, performed: Callable[[], list[int]]
) -> None:
    step = counting(-1)
    for attempt in (1, 2):
        with pytest.raises(StepFailed, match="between the steps") as failed:
            executor().ensure(step, "ticket")
        assert (lab / "work" / step.digest / "begun").read_text() == "x" * attempt
    assert "RuntimeError" in (lab / "failures" / f"{step.digest}.txt").read_text()
    assert failed.value.exit_code == 3
    assert not executor().store.has(step)
    assert performed() == [-1, -1]
    assert rows(executor().store.journal(step)) == [{"step": -1, "number": -1.0}]


def ensure(work: Executor, step: Step, done: multiprocessing.Queue[dict[str, str]]) -> None:
    done.put(dict(work.ensure(step, "ticket").files))


def test_processes_that_want_the_same_step_perform_it_once(
    counting: Made, executor: Executors, performed: Callable[[], list[int]]
) -> None:
    step = counting(4, seconds=0.5)
    context = multiprocessing.get_context("fork")
    done: multiprocessing.Queue[dict[str, str]] = context.Queue()
    processes = [context.Process(target=ensure, args=(executor(), step, done)) for _ in range(4)]
    for process in processes:
        process.start()
    found = [done.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert performed() == [4]
    assert all(files == found[0] for files in found)
    assert rows(executor().store.journal(step)) == [{"step": 4, "number": 4.0}]
