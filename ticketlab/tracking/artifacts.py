"""Small files shown with a run: sent when their content has changed, readable after the project has moved."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ticketlab.files import sha256_bytes, write_atomically

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from ticketlab.tracking.outbox import Artifact
    from ticketlab.tracking.store import Store

_PROXIED = "mlflow-artifacts:/"


def artifact_location(experiment: str, store: Store) -> str | None:
    """Where the artifacts of a new experiment live; None leaves it to a tracking server.

    MLflow's own default is an absolute folder, lost when the project moves. `mlflow-artifacts:/` means the folder
    `mlartifacts` beside wherever the user starts `mlflow ui`, and we write straight into that.
    """
    if store.proxied_artifacts is None:
        return None
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", experiment)[:80]
    return f"{_PROXIED}{readable}-{sha256_bytes(experiment.encode())[:8]}"


def send_artifacts(
    client: MlflowClient,
    store: Store,
    project: Path,
    run_id: str,
    artifacts: tuple[Artifact, ...],
    sent: dict[str, str],
) -> None:
    """Send every artifact that exists and whose sha256 is not the one in `sent` (by place), and note it there."""
    home = ""
    for artifact in artifacts:
        path = project / artifact.path
        place = f"{artifact.under}/{path.name}" if artifact.under else path.name
        if not path.is_file():
            continue
        content = path.read_bytes()
        digest = sha256_bytes(content)
        if sent.get(place) == digest:
            continue
        home = home or client.get_run(run_id).info.artifact_uri
        if store.proxied_artifacts is not None and home.startswith(_PROXIED):
            folder = store.proxied_artifacts / home.removeprefix(_PROXIED)
            write_atomically(folder / place, content)
        else:
            client.log_artifact(run_id, str(path), artifact.under or None)
        sent[place] = digest
