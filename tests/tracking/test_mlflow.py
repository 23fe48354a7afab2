from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ticketlab.tracking.cursor import Cursors
from ticketlab.tracking.messenger import MAX_VALUE, shortened
from ticketlab.tracking.mlflow import deliver
from ticketlab.tracking.outbox import Journal, Outbox, TrackedRun
from ticketlab.tracking.process import this_process
from ticketlab.tracking.rows import checked, line_of
from ticketlab.tracking.store import client_of, store_of

Make = Callable[..., TrackedRun]
Write = Callable[..., Journal]


def rows(project: Path, name: str = "first") -> list[tuple[str, int, float, int]]:
    """What is in the metrics table for the run of that name: key, step, value, timestamp."""
    with sqlite3.connect(project / "mlflow.db") as database:
        return database.execute(
            "select key, step, value, timestamp from metrics join runs using (run_uuid) where name = ? order by 1, 2",
            [name],
        ).fetchall()


def the_run(project: Path, name: str = "first") -> Any:
    client = client_of(project, store_of(project))
    experiment = client.get_experiment_by_name("quickstart")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    return found


def test_two_passes_leave_each_row_once_with_its_recorded_time(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(1300)),)))
    first = deliver(outbox, project)
    assert (first.delivered, first.pending, first.problem) == (2600, 0, None)
    assert deliver(outbox, project).delivered == 0
    found = rows(project)
    assert len(found) == 2600
    assert found[1300 + 7] == ("loss", 7, 1 / 8, 1_700_000_007_000)


@pytest.mark.parametrize("name", ["q?x", "a#1%41?x", "50 % & more", "p%41x"])
def test_a_project_of_any_name_has_its_rows_in_its_own_database(tmp_path: Path, a_run: Make, name: str) -> None:
    project = tmp_path / "above" / name
    project.mkdir(parents=True)
    outbox = Outbox.of(project)
    outbox.put(a_run(params={"a": "1"}))
    assert deliver(outbox, project).problem is None
    with sqlite3.connect(project / "mlflow.db") as database:
        assert database.execute("select name from runs").fetchall() == [("first",)]
    # MLflow makes an empty folder of the name with escapes beside it.
    assert all(path.is_relative_to(project) for path in (tmp_path / "above").rglob("*") if path.is_file())


def test_losing_the_cursors_sends_everything_again_and_changes_nothing(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(50)),), params={"a": "1"}, status="FINISHED", ended=9))
    deliver(outbox, project)
    before, run = rows(project), the_run(project)
    shutil.rmtree(outbox.folder / "delivered")
    assert deliver(outbox, project).delivered == 100
    assert rows(project) == before
    assert the_run(project).info.run_id == run.info.run_id


@pytest.mark.parametrize("cut", [0, 2, 4, 6])
def test_a_kill_at_any_request_and_another_pass_leave_each_row_once(
    cut: int, project: Path, outbox: Outbox, a_run: Make, write_rows: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(1200)),), params={"a": "1"}, status="FINISHED", ended=9))
    left = iter(range(cut))
    put = Cursors.put

    def killed(self: Cursors, *arguments: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        put(self, *arguments)

    monkeypatch.setattr(Cursors, "put", killed)
    try:
        deliver(outbox, project)
    except KeyboardInterrupt:
        assert not rows(project) or cut > 0
    monkeypatch.setattr(Cursors, "put", put)
    assert deliver(outbox, project).pending == 0
    assert len(rows(project)) == 2400
    assert the_run(project).info.status == "FINISHED"


def test_a_torn_line_is_delivered_when_it_is_whole(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(3)),)))
    torn = line_of({"t": 5, "step": 3, "metrics": {"loss": 0.25}})
    with (project / "rows.jsonl").open("ab") as handle:
        handle.write(torn[:20])
        handle.flush()
        assert deliver(outbox, project).delivered == 6
        handle.write(torn[20:])
    assert deliver(outbox, project).delivered == 1
    assert ("loss", 3, 0.25, 5) in rows(project)


def test_a_flipped_byte_in_a_journal_is_located_and_its_row_not_delivered(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(5)),)))
    lines = (project / "rows.jsonl").read_bytes().splitlines(keepends=True)
    assert lines[2].count(b"0.3333333333333333") == 1
    lines[2] = lines[2].replace(b"0.3333333333333333", b"0.2333333333333333")
    (project / "rows.jsonl").write_bytes(b"".join(lines))
    deliver(outbox, project)
    assert {row[1] for row in rows(project)} == {0, 1, 3, 4}
    assert the_run(project).data.tags["ticketlab.unreadable_rows"] == "1, from line 3 of rows.jsonl on"


def test_rounds_are_nested_under_cells_and_cells_under_the_sweep(
    project: Path, outbox: Outbox, a_run: Make, key: Callable[[str], str]
) -> None:
    outbox.put(a_run("round", parent=key("cell")))
    outbox.put(a_run("cell", parent=key("sweep")))
    outbox.put(a_run("sweep"))
    assert deliver(outbox, project).problem is None
    parent = "mlflow.parentRunId"
    assert the_run(project, "round").data.tags[parent] == the_run(project, "cell").info.run_id
    assert the_run(project, "cell").data.tags[parent] == the_run(project, "sweep").info.run_id
    assert parent not in the_run(project, "sweep").data.tags


def test_values_that_are_not_finite_become_a_tag(project: Path, outbox: Outbox, a_run: Make) -> None:
    lines = [
        b'{"t": 1, "step": 0, "metrics": {"loss": NaN, "fid": 2.5}}',
        b'{"t": 2, "step": 1, "metrics": {"loss": Infinity}}',
    ]
    (project / "rows.jsonl").write_bytes(b"".join(map(checked, lines)))
    outbox.put(a_run(journals=(Journal("rows.jsonl", "train/"),)))
    deliver(outbox, project)
    assert rows(project) == [("train/fid", 0, 2.5, 1)]
    assert the_run(project).data.tags["ticketlab.not_finite"] == "train/loss: 2"


def test_two_hundred_parameters_and_long_values_arrive_and_say_if_they_were_shortened(
    project: Path, outbox: Outbox, a_run: Make
) -> None:
    params = {f"section.field{i}": str(i) for i in range(250)} | {"empty": "", "long": "x" * 7000, "full": "y" * 6000}
    outbox.put(a_run(params=params, tags={"note": "z" * 7000}))
    assert deliver(outbox, project).problem is None
    found = the_run(project).data.params
    assert {**found, "long": ""} == {**params, "long": ""}
    assert len(found["long"]) == MAX_VALUE
    assert "shortened: 7000 characters, sha256 " in found["long"]
    assert the_run(project).data.tags["note"] == shortened("z" * 7000)


def test_a_refused_run_does_not_hold_up_the_others(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    outbox.put(a_run("changed", params={"a": "1"}))
    deliver(outbox, project)
    outbox.put(a_run("changed", params={"a": "2"}))
    outbox.put(a_run("other", journals=(write_rows("rows.jsonl", range(5)),), started=1_800_000_000_000))
    outcome = deliver(outbox, project)
    assert outcome.delivered == 10
    assert outcome.problem is not None
    assert "'changed'" in outcome.problem


def test_status_and_end_time_come_last_and_a_resumed_run_runs_again(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    run = a_run(journals=(write_rows("rows.jsonl", range(3)),), process=replace(this_process(), started="gone"))
    outbox.put(run)
    deliver(outbox, project)
    assert the_run(project).info.status == "RUNNING"
    outbox.mark_killed()
    deliver(outbox, project)
    killed = the_run(project).info
    assert (killed.status, killed.end_time) == ("KILLED", 1_700_000_002_000)
    outbox.put(replace(run, process=this_process()))
    write_rows("rows.jsonl", range(1, 5), clock=1_750_000_000_000)
    deliver(outbox, project)
    assert the_run(project).info.status == "RUNNING"
    outbox.put(replace(run, status="FINISHED", ended=1_760_000_000_000))
    deliver(outbox, project)
    done = the_run(project).info
    assert (done.run_id, done.status, done.end_time) == (killed.run_id, "FINISHED", 1_760_000_000_000)
    assert len(rows(project)) == 10


def test_a_run_deleted_in_mlflow_stays_deleted_and_is_no_problem(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(3)),)))
    deliver(outbox, project)
    client_of(project, store_of(project)).delete_run(the_run(project).info.run_id)
    write_rows("rows.jsonl", range(3, 6))
    outcome = deliver(outbox, project)
    assert (outcome.delivered, outcome.pending, outcome.problem) == (0, 0, None)


def test_a_database_thrown_away_is_filled_again(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write, empty_database: Path
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(4)),), status="FINISHED", ended=9))
    deliver(outbox, project)
    time.sleep(0.002)
    database = sqlite3.connect(project / "mlflow.db")
    with sqlite3.connect(empty_database) as template:
        template.backup(database)
    database.close()
    assert rows(project) == []
    assert deliver(outbox, project).delivered == 8


def test_a_locked_database_is_a_problem_told_and_nothing_is_lost(
    project: Path, outbox: Outbox, a_run: Make, write_rows: Write
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(4)),)))
    blocker = sqlite3.connect(project / "mlflow.db", isolation_level=None)
    blocker.execute("begin exclusive")
    uri = "sqlite:///mlflow.db?timeout=0.2"
    outcome = deliver(outbox, project, uri)
    assert outcome.problem is not None
    assert outcome.pending == 8
    blocker.execute("rollback")
    blocker.close()
    assert deliver(outbox, project, uri).delivered == 8


def test_one_delivery_at_a_time(project: Path, outbox: Outbox, a_run: Make, write_rows: Write) -> None:
    from filelock import FileLock

    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(4)),)))
    with FileLock(outbox.folder / ".delivering"):
        outcome = deliver(outbox, project, patience=0)
    assert (outcome.delivered, outcome.pending, outcome.problem) == (0, 8, "another process is delivering")


SIX_STARTERS = """
import os, sys
from pathlib import Path
from mlflow import MlflowClient
import mlflow.store.tracking.sqlalchemy_store
from ticketlab.tracking.mlflow import deliver
from ticketlab.tracking.outbox import Outbox, TrackedRun

project, children = Path(sys.argv[1]), []
for i in range(6):
    children.append(os.fork())
    if children[-1] == 0:
        box = Outbox(project / ".ticketlab" / str(i))
        box.put(TrackedRun(f"{i:064x}", "together", f"n{i}", started=1))
        outcome = deliver(box, project)
        os._exit(outcome.problem is not None)
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


def test_six_processes_on_a_fresh_database_at_once_all_succeed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SIX_STARTERS, str(tmp_path)], check=True)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("select count(*), count(distinct name) from runs").fetchone() == (6, 6)
        assert database.execute("select count(*) from experiments where name = 'together'").fetchone() == (1,)


def test_the_parents_come_before_the_children_whatever_their_order(a_run: Make, key: Callable[[str], str]) -> None:
    from ticketlab.tracking.mlflow import _parents_first

    chain = [a_run(str(i), parent=key(str(i - 1)) if i else None) for i in range(6)]
    assert _parents_first(chain[::-1]) == chain
    ring = [a_run("x", parent=key("y")), a_run("y", parent=key("x"))]
    assert sorted(run.name for run in _parents_first(ring)) == ["x", "y"]
