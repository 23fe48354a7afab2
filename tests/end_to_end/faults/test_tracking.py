"""A database that is locked, gone or garbage, or a server that refuses, stops no run; every row comes later, once."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ticketlab.tracking.courier import reconcile
from ticketlab.tracking.mlflow import deliver
from ticketlab.tracking.outbox import Outbox
from ticketlab.tracking.store import ui_command


def all_there_once(lab: Any) -> None:
    assert set(lab.rows().values()) == {1}
    assert lab.rows().total() == lab.journal_rows()
    assert set(lab.statuses().values()) == {"FINISHED"}


@pytest.mark.long
def test_a_run_ends_well_on_a_garbage_database_and_delivers_to_the_next_one(lab: Any, undisturbed: Any) -> None:
    database = lab.root / "mlflow.db"
    empty = database.read_bytes()
    database.write_bytes(os.urandom(5000))
    code, said = lab.ticketlab("run", "specs/small.yaml")
    assert code == 0, said
    assert "MLflow" in said
    assert "rows wait" in said
    assert lab.published() == undisturbed.published()
    assert lab.entries() == undisturbed.entries()
    code, said = lab.ticketlab("reconcile")
    assert code == 1
    assert "not a database" in said
    database.write_bytes(empty)
    code, said = lab.ticketlab("reconcile")
    assert code == 0, said
    all_there_once(lab)


@pytest.mark.parametrize("gone", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_database_that_was_emptied_or_deleted_is_filled_again(done: Any, specks: Path, gone: bool) -> None:
    (done.root / "mlflow.db").unlink()
    if not gone:
        (done.root / "mlflow.db").write_bytes((specks / "mlflow.db").read_bytes())
    delivery = reconcile(done.root)
    assert delivery.problem is None
    assert delivery.delivered == done.journal_rows()
    all_there_once(done)


def test_a_garbage_database_is_named_and_left_alone(done: Any) -> None:
    (done.root / "mlflow.db").write_bytes(b"garbage" * 1000)
    shutil.rmtree(done.root / ".ticketlab" / "outbox" / "delivered")
    delivery = reconcile(done.root)
    assert "not a database" in str(delivery.problem)
    assert (delivery.delivered, delivery.pending) == (0, done.journal_rows())
    assert (done.root / "mlflow.db").read_bytes() == b"garbage" * 1000


def test_a_locked_database_is_waited_for_and_the_rows_come_later(done: Any, specks: Path, connected: Any) -> None:
    (done.root / "mlflow.db").write_bytes((specks / "mlflow.db").read_bytes())
    shutil.rmtree(done.root / ".ticketlab" / "outbox" / "delivered")
    with connected(done.root / "mlflow.db") as connection:
        connection.execute("begin exclusive")
        delivery = deliver(Outbox.of(done.root), done.root, "sqlite:///mlflow.db?timeout=1")
        assert "locked" in str(delivery.problem)
        assert (delivery.delivered, delivery.pending) == (0, done.journal_rows())
        connection.execute("rollback")
    assert reconcile(done.root).problem is None
    all_there_once(done)


@pytest.mark.long
def test_a_run_ends_well_while_its_database_is_locked_all_the_time(lab: Any, undisturbed: Any, connected: Any) -> None:
    with connected(lab.root / "mlflow.db") as connection:
        connection.execute("begin exclusive")
        code, said = lab.ticketlab("run", "specs/small.yaml")
        connection.execute("rollback")
    assert code == 0, said
    assert "rows wait" in said
    assert lab.published() == undisturbed.published()
    assert lab.entries() == undisturbed.entries()
    code, said = lab.ticketlab("reconcile")
    assert code == 0, said
    all_there_once(lab)


@pytest.mark.parametrize("harm", ["flipped", "truncated"])
def test_damaged_cursors_cost_time_and_no_row_comes_twice(done: Any, harm: str, request: Any) -> None:
    for cursor in (done.root / ".ticketlab" / "outbox" / "delivered").rglob("*.json"):
        request.getfixturevalue(harm)(cursor)
    delivery = reconcile(done.root)
    assert delivery.problem is None
    assert delivery.pending == 0
    all_there_once(done)


@pytest.mark.long
def test_a_server_that_refuses_and_comes_back_gets_every_row_once(lab: Any, until: Any, undisturbed: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    code, said = lab.ticketlab("run", "specs/small.yaml", MLFLOW_TRACKING_URI=address)
    assert code == 0, said
    assert "does not answer" in said
    assert lab.published() == undisturbed.published()
    command, environment = ui_command(lab.root, port)
    server = subprocess.Popen(
        command,
        env=environment,
        cwd=lab.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: urllib.request.urlopen(f"{address}/health", timeout=5).status == 200)
        for _ in range(2):
            code, said = lab.ticketlab("reconcile", MLFLOW_TRACKING_URI=address)
            assert code == 0, said
        all_there_once(lab)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
