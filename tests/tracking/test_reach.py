"""Who listens is asked of real sockets."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketlab.tracking.mlflow import deliver
from ticketlab.tracking.outbox import Outbox, TrackedRun
from ticketlab.tracking.reach import why_unreachable

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_who_listens_is_reached_and_who_does_not_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert why_unreachable(f"http://127.0.0.1:{port}/some/path") is None
        assert why_unreachable(f"https://127.0.0.1:{port}") is None
    assert why_unreachable(f"http://127.0.0.1:{port}") == "Connection refused"
    assert why_unreachable("https://nowhere.invalid") is not None


def test_one_that_takes_no_connection_is_waited_for_no_longer_than_said() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        held = [socket.socket() for _ in range(4)]
        for connection in held:
            connection.setblocking(False)
            connection.connect_ex(server.getsockname())
        assert why_unreachable(address, timeout=0.2) == "timed out"
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    "uri",
    ["sqlite:///mlflow.db", "file:runs", "databricks", "http://", "http://host:port", "postgresql://127.0.0.1:9/x"],
)
def test_where_only_an_attempt_tells_nothing_is_said(uri: str) -> None:
    assert why_unreachable(uri) is None


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_behind_a_proxy_only_an_attempt_tells(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert why_unreachable(NOBODY) is None
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert why_unreachable(NOBODY) == "Connection refused"


def test_a_delivery_to_nobody_keeps_the_rows_and_imports_no_mlflow(
    project: Path, outbox: Outbox, a_run: Callable[..., TrackedRun], write_rows: Callable[..., object]
) -> None:
    outbox.put(a_run(journals=(write_rows("rows.jsonl", range(5)),)))
    found = deliver(outbox, project, NOBODY)
    assert (found.delivered, found.pending) == (0, 10)
    assert found.problem == f"MLflow at {NOBODY} does not answer: Connection refused"
    program = f"""
import sys
from pathlib import Path
from ticketlab.tracking.mlflow import deliver
from ticketlab.tracking.outbox import Outbox

assert deliver(Outbox.of(Path({str(project)!r})), Path({str(project)!r}), {NOBODY!r}).pending == 10
assert "mlflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
