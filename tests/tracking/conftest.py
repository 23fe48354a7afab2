from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ticketlab.tracking.outbox import Journal, Outbox, TrackedRun
from ticketlab.tracking.rows import line_of
from ticketlab.tracking.store import QUIET, client_of, store_of


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address of the developer's own server, and nothing that DVC sets inside a stage."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in QUIET.items():
        monkeypatch.setenv(name, os.environ.get(name, value))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database after its 68 migrations, made once."""
    project = tmp_path_factory.mktemp("template")
    client_of(project, store_of(project, "sqlite:///mlflow.db"))
    return project / "mlflow.db"


@pytest.fixture
def project(tmp_path: Path, empty_database: Path) -> Path:
    """A project folder whose MLflow database is there and empty."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


@pytest.fixture
def outbox(project: Path) -> Outbox:
    return Outbox.of(project)


@pytest.fixture
def key() -> Callable[[str], str]:
    return lambda name: hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def write_rows(project: Path) -> Callable[..., Journal]:
    """Append rows `loss = 1 / (1 + step)` (and `accuracy`) for the steps given, a second apart."""

    def write(name: str, steps: range, prefix: str = "", clock: int = 1_700_000_000_000) -> Journal:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as handle:
            for step in steps:
                metrics = {"loss": 1 / (1 + step), "accuracy": step / 1000}
                handle.write(line_of({"t": clock + 1000 * step, "step": step, "metrics": metrics}))
        return Journal(name, prefix)

    return write


@pytest.fixture
def a_run(key: Callable[[str], str]) -> Callable[..., TrackedRun]:
    def make(name: str = "first", **fields: Any) -> TrackedRun:
        return TrackedRun(key(name), "quickstart", name, **{"started": 1_700_000_000_000, **fields})

    return make


@pytest.fixture
def git_repository(tmp_path: Path) -> Path:
    """An empty git repository under DVC with the settings of this one."""
    folder = tmp_path / "repository"
    folder.mkdir()
    shell = {"cwd": folder, "check": True, "capture_output": True}
    subprocess.run(["git", "init", "--quiet"], **shell)
    subprocess.run(
        [sys.executable, "-m", "dvc", "init", "--quiet"], **shell, env={**os.environ, "DVC_NO_ANALYTICS": "1"}
    )
    return folder
