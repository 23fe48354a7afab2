"""Where MLflow keeps the runs: the database of the project, unless MLFLOW_TRACKING_URI says otherwise."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from filelock import FileLock

from ticketlab.errors import TrackingError
from ticketlab.files import write_atomically

if TYPE_CHECKING:
    from mlflow import MlflowClient

QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
"""Environment of every MLflow process of ours; what the user has set stays. The courier retries, not MLflow."""

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Store:
    """An MLflow store: its address, its name as seen from the project (kept when that moves), its SQLite file."""

    uri: str
    name: str
    database: Path | None

    @property
    def proxied_artifacts(self) -> Path | None:
        """The folder from which a plain `mlflow ui`, started beside the database, serves `mlflow-artifacts:/`."""
        return self.database.parent / "mlartifacts" if self.database else None


def store_of(project: Path, uri: str | None = None) -> Store:
    """The store at `uri`, else MLFLOW_TRACKING_URI, else `mlflow.db`; a relative path starts at the project."""
    address = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}mlflow.db"
    if not address.startswith(_SQLITE):
        return Store(address, address, None)
    root = project.resolve()
    path, mark, options = address.removeprefix(_SQLITE).partition("?")
    database = root / unquote(path)
    name = database.relative_to(root) if database.is_relative_to(root) else database
    return Store(f"{_address(database)}{mark}{options}", f"{_SQLITE}{name}", database)


def _address(database: Path) -> str:
    """The address of a database: a ? in its path begins no options there, nor does a % begin another character."""
    return _SQLITE + str(database).replace("%", "%25").replace("?", "%3F")


def client_of(project: Path, store: Store) -> MlflowClient:
    """A client whose store exists and is whole.

    Creating an SQLite store takes MLflow 68 migrations, which break it for ever when two processes start them or one is
    killed among them; so it is made aside, under a lock, and renamed into place.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for chatter in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(chatter).setLevel(logging.ERROR)
    if store.database is None:
        return MlflowClient(store.uri)
    with FileLock(_lock_of(project, store.database)):
        if not store.database.exists() or store.database.stat().st_size == 0:
            with tempfile.TemporaryDirectory() as scratch:
                fresh = Path(scratch) / "mlflow.db"
                MlflowClient(_address(fresh)).search_experiments(max_results=1)
                write_atomically(store.database, fresh.read_bytes())
        client = MlflowClient(store.uri)
        client.search_experiments(max_results=1)
    return client


def ui_command(project: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """The command and the whole environment that show the project's runs at http://127.0.0.1:PORT, and to nobody else.

    One worker and no job executor: 5 s to start instead of 17 to 41. TrackingError if the runs are kept by a server.
    """
    store = store_of(project)
    if store.uri.startswith(("http://", "https://")):
        raise TrackingError("the runs are kept by a server", where=store.uri, mend="open that address in a browser")
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store.uri]
    if store.proxied_artifacts:
        command += ["--artifacts-destination", str(store.proxied_artifacts)]
    return command, {**QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONSAFEPATH": "1", **os.environ}


def _lock_of(project: Path, database: Path) -> Path:
    """One lock for all users of a database; the one of the project is kept out of the way."""
    ours = database.parent == project.resolve()
    lock = database.parent / ".ticketlab" / f"{database.name}.lock" if ours else Path(f"{database}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    return lock
