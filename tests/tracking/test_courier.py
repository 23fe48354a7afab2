from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ticketlab.errors import TrackingError
from ticketlab.tracking.courier import Courier, reconcile
from ticketlab.tracking.mlflow import deliver
from ticketlab.tracking.outbox import Artifact, Journal, Outbox, TrackedRun
from ticketlab.tracking.process import process_with, this_process
from ticketlab.tracking.store import store_of, ui_command

Make = Callable[..., TrackedRun]
Write = Callable[..., Journal]


def metrics(project: Path) -> int:
    with sqlite3.connect(project / "mlflow.db") as database:
        return int(database.execute("select count(*) from metrics").fetchone()[0])


def wait_until(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_courier_delivers_while_the_run_goes_on_and_once_more_at_the_end(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    (project / "statistics.py").write_text("raise ImportError('not the statistics of Python')")
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(10)),), process=this_process()))
    courier = Courier(project, interval=0.1)
    wait_until(lambda: metrics(project) == 20)
    write_rows("rows.jsonl", range(10, 30))
    outbox.put(replace(a_run(), status="FINISHED", ended=9, journals=(Journal("rows.jsonl"),)))
    outcome = courier.finish(timeout=60)
    assert (outcome.delivered, outcome.pending, outcome.problem) == (60, 0, None)
    assert metrics(project) == 60


def test_finishing_waits_no_longer_than_it_was_told(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(10)),)))
    courier = Courier(project)
    before = time.monotonic()
    outcome = courier.finish(timeout=0.01)
    assert time.monotonic() - before < 1
    assert outcome.pending == 20
    assert "goes on in the background" in str(outcome.problem)
    last = courier.finish(timeout=60)
    assert (last.delivered, last.pending, last.problem) == (20, 0, None)
    assert courier.finish(timeout=0) == last
    assert metrics(project) == 20


PARENT = """
import sys, time
from dataclasses import replace
from pathlib import Path
from ticketlab.tracking.courier import Courier
from ticketlab.tracking.outbox import Outbox
from ticketlab.tracking.process import process_with, this_process

project = Path(sys.argv[1])
box = Outbox.of(project)
box.put(replace(box.runs()[0], process=this_process()))
courier = Courier(project, interval=0.1)
print(courier._process.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_parent_leaves_its_rows_delivered_its_run_killed_and_no_process_behind(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(10)),)))
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(project)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    courier = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()

    def status() -> str:
        with sqlite3.connect(project / "mlflow.db") as database:
            return str(database.execute("select status from runs").fetchall())

    wait_until(lambda: "KILLED" in status())
    assert metrics(project) == 20
    wait_until(lambda: process_with(courier) is None)


def test_reconciling_closes_the_runs_of_a_crash(project: Path, outbox: Outbox, a_run: Make, write_rows: Write) -> None:
    crashed = replace(this_process(), started="another boot/1")
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(10)),), process=crashed))
    assert reconcile(project).delivered == 20
    with sqlite3.connect(project / "mlflow.db") as database:
        assert database.execute("select status, end_time from runs").fetchall() == [("KILLED", 1_700_000_009_000)]


@contextmanager
def served(project: Path, port: int) -> Iterator[str]:
    """The project's own `ticketlab ui`, up and answering."""
    command, environment = ui_command(project, port)
    server = subprocess.Popen(
        command,
        env=environment,
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return bool(urllib.request.urlopen(f"{address}/health", timeout=5).status == 200)
        except OSError:
            return False

    try:
        wait_until(answers, 120)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def test_a_server_that_is_down_and_comes_back_gets_each_row_once_and_shows_artifacts_of_a_moved_project(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    (project / "spec.yaml").write_text("seed: 0\n")
    run = a_run(journals=(write_rows("rows.jsonl", range(600)),), artifacts=(Artifact("spec.yaml", "spec"),))
    outbox.put(run)
    assert deliver(outbox, project).delivered == 1200
    outbox.put(a_run("second", journals=run.journals, artifacts=run.artifacts))
    down = deliver(outbox, project, address)
    assert (down.delivered, down.pending) == (0, 2400)
    assert "does not answer" in str(down.problem)

    moved = project.rename(tmp_path / "moved")
    outbox = Outbox.of(moved)
    assert deliver(outbox, moved).delivered == 1200
    with served(moved, port):
        before = metrics(moved)
        deliver(outbox, moved, address)
        deliver(outbox, moved, address)
        assert metrics(moved) == before == 2400
        (moved / "spec.yaml").write_text("seed: 1\n")
        outbox.put(a_run("third", journals=run.journals, artifacts=run.artifacts))
        assert deliver(outbox, moved, address).delivered == 1200
        assert metrics(moved) == 3600
        with sqlite3.connect(moved / "mlflow.db") as database:
            ids = dict(database.execute("select name, run_uuid from runs").fetchall())
        assert len(ids) == 3
        for name, text in {"first": "seed: 1\n", "second": "seed: 1\n", "third": "seed: 1\n"}.items():
            shown = urllib.request.urlopen(f"{address}/get-artifact?path=spec/spec.yaml&run_id={ids[name]}")
            assert shown.read().decode() == text


def test_the_ui_is_for_this_machine_only_and_obeys_the_tracking_address(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, environment = ui_command(project, 5001)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{project.resolve()}/mlflow.db"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    assert store_of(project).database == project.resolve() / "elsewhere.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://example.org")
    with pytest.raises(TrackingError):
        ui_command(project, 5001)


def test_a_courier_that_cannot_work_says_where_its_log_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".ticketlab").mkdir()
    (project / ".ticketlab" / "outbox").write_text("a file where the folder should be")
    outcome = Courier(project).finish(timeout=60)
    assert "courier.log" in str(outcome.problem)
