"""Every test runs as on a machine of its own: two workers share two cores, and no setting or server of the developer's counts."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ticketlab.tracking.store import QUIET

_OF_THE_DEVELOPER = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID")
_OF_A_DVC_STAGE = ("DVC_ROOT", "DVC_STAGE")

for name in (*_OF_THE_DEVELOPER, *_OF_A_DVC_STAGE):
    os.environ.pop(name, None)

# Before torch is imported. A run still sets the threads its spec asks for.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.update(QUIET)

_aside = tempfile.TemporaryDirectory(prefix="ticketlab-tests-")
"""Removed when the process ends; each worker of pytest-xdist has one."""

os.environ.update(
    DVC_NO_ANALYTICS="1",
    DVC_GLOBAL_CONFIG_DIR=str(Path(_aside.name, "dvc-config")),
    DVC_SITE_CACHE_DIR=str(Path(_aside.name, "dvc-cache")),
    # Commits in repositories that tests make: no name, key or hook of the developer's.
    GIT_AUTHOR_NAME="a test",
    GIT_AUTHOR_EMAIL="test@example.org",
    GIT_COMMITTER_NAME="a test",
    GIT_COMMITTER_EMAIL="test@example.org",
    GIT_CONFIG_COUNT="1",
    GIT_CONFIG_KEY_0="commit.gpgSign",
    GIT_CONFIG_VALUE_0="false",
)


@pytest.fixture(autouse=True)
def arithmetic_of_a_fresh_process() -> Iterator[None]:
    """What `ticketlab.run.device.arrange` sets for a process is taken back after a test, so that their order is free."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_flush_denormal"):
        torch.set_flush_denormal(False)
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(1)
