from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ticketlab.errors import CorruptFile
from ticketlab.tracking.outbox import Artifact, Journal, Outbox, TrackedRun, is_name
from ticketlab.tracking.process import Process, is_alive, this_process


def test_a_run_comes_back_as_it_was_put(outbox: Outbox, a_run: Callable[..., TrackedRun], key: Callable) -> None:
    run = a_run(
        parent=key("sweep"),
        params={"train.steps": "500"},
        tags={"device": "cpu"},
        journals=(Journal("a.jsonl", "train/"),),
        artifacts=(Artifact("spec.yaml"), Artifact("grid.png", "samples")),
        process=this_process(),
    )
    outbox.put(run)
    assert outbox.get(run.key) == run
    assert outbox.runs() == [run]
    assert outbox.get(key("nobody")) is None


def test_an_empty_project_has_no_runs(tmp_path: Path) -> None:
    assert Outbox.of(tmp_path).runs() == []


def test_a_damaged_file_is_named(outbox: Outbox, a_run: Callable[..., TrackedRun]) -> None:
    outbox.put(a_run())
    (outbox.folder / f"{a_run().key}.json").write_text('{"key": "')
    with pytest.raises(CorruptFile, match=a_run().key):
        outbox.runs()


def test_a_folder_called_like_a_run_stops_no_other(outbox: Outbox, a_run: Callable[..., TrackedRun]) -> None:
    outbox.put(a_run())
    (outbox.folder / f"{'0' * 64}.json").mkdir()
    found, damaged = outbox.readable()
    assert found == [a_run()]
    assert ["0" * 64 in one.where for one in damaged] == [True]


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "a/../../b", ""])
def test_paths_outside_the_project_are_refused(path: str) -> None:
    with pytest.raises(AssertionError):
        Journal(path)
    with pytest.raises(AssertionError):
        Artifact(path)


def test_names_that_mlflow_would_refuse_are_refused_at_once(a_run: Callable[..., TrackedRun]) -> None:
    assert is_name("train/generator.loss-2 x")
    assert not any(map(is_name, ["", "a[0]", "a//b", "a/", "/a", "../a", "x" * 251, "a\n", "./a"]))
    with pytest.raises(AssertionError):
        a_run(params={"augment[0]": "x"})


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    me = this_process()
    assert is_alive(me)
    assert not is_alive(replace(me, started="another boot/1"))
    assert is_alive(replace(me, host="elsewhere", pid=0))


def test_a_killed_process_is_dead_even_before_its_parent_has_noticed() -> None:
    code = "import json,time;from dataclasses import asdict;from ticketlab.tracking.process import this_process as p;"
    child = subprocess.Popen(
        [sys.executable, "-c", code + "print(json.dumps(asdict(p())),flush=True);time.sleep(60)"],
        stdout=subprocess.PIPE,
    )
    import json

    assert child.stdout is not None
    process = Process(**json.loads(child.stdout.readline()))
    assert is_alive(process)
    child.kill()
    deadline = time.monotonic() + 10
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(process)
    child.communicate()
    assert not is_alive(process)


def test_only_running_runs_of_dead_processes_are_marked_killed(
    outbox: Outbox, a_run: Callable[..., TrackedRun]
) -> None:
    dead = replace(this_process(), started="another boot/1")
    outbox.put(a_run("alive", process=this_process()))
    outbox.put(a_run("dead", process=dead))
    outbox.put(a_run("done", process=dead, status="FINISHED"))
    outbox.put(a_run("unknown"))
    assert outbox.mark_killed() == [a_run("dead").key]
    assert {run.name: run.status for run in outbox.runs()} == {
        "alive": "RUNNING",
        "dead": "KILLED",
        "done": "FINISHED",
        "unknown": "RUNNING",
    }


def test_neither_the_package_nor_the_outbox_imports_mlflow_or_dvc() -> None:
    code = (
        "import sys, ticketlab.tracking, ticketlab.tracking.outbox, ticketlab.tracking.courier, ticketlab.tracking.dvc,"
        " ticketlab.tracking.mlflow; print([m for m in ('mlflow', 'dvc', 'torch', 'sqlalchemy') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer.strip() == "[]"
