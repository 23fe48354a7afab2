"""Calling DVC: one call at a time, patient with its lock, and never from inside one of its own stages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ticketlab.errors import TrackingError

_BUSY = ("Unable to acquire lock", "is busy", "being used by another")
_PAUSES = (0.5, 1, 2, 4, 8)
"""Seconds between attempts while a user's own `dvc` command holds the repository."""


def inside_stage() -> bool:
    """Whether this process was started by `dvc repro`, which then versions the outputs itself."""
    return bool(os.environ.get("DVC_ROOT") or os.environ.get("DVC_STAGE"))


def is_repository(project: Path) -> bool:
    """Whether the project is under DVC (`dvc init` was called in it)."""
    return (project / ".dvc" / "config").is_file()


def pull(project: Path, target: str) -> bool:
    """Bring what `target` (e.g. `data.dvc`) describes from the remote; False inside a stage, where nothing is done."""
    return _change(project, ["pull", target], mend=f"check `dvc remote list`, then try: dvc pull {target}")


def add(project: Path, paths: Sequence[str]) -> bool:
    """Version files or folders (writes `<path>.dvc`); False inside a stage, where nothing is done."""
    return _change(project, ["add", *paths], mend="an output of dvc.yaml cannot be added: commit its stage")


def commit(project: Path, stages: Sequence[str]) -> bool:
    """Record in dvc.lock and the cache what a run outside DVC has made of the stages' dependencies and outputs.

    Afterwards `dvc status` is clean and `dvc repro` has nothing to do. Name the stages in order of dependence; all
    their outputs must exist. False inside a stage, where nothing is done.
    """
    return _change(project, ["commit", "--force", *stages], mend="check that every output of dvc.yaml exists")


def status(project: Path) -> dict[str, Any]:
    """What DVC finds changed, by stage; empty if everything is up to date. Empty inside a stage, too."""
    if inside_stage():
        return {}
    answer = _call(project, ["status", "--json"], mend="try: dvc status")
    changed: dict[str, Any] = json.loads(answer)
    return changed


def _change(project: Path, arguments: list[str], *, mend: str) -> bool:
    if inside_stage():
        return False
    _call(project, arguments, mend=mend)
    return True


def _call(project: Path, arguments: list[str], *, mend: str, patience: float = 600) -> str:
    """Standard output of `dvc ARGUMENTS` in the project; TrackingError with the last lines DVC said if it fails."""
    command = [sys.executable, "-P", "-m", "dvc", *arguments]
    environment = {"DVC_NO_ANALYTICS": "1", **os.environ}
    lock = project / ".ticketlab" / "dvc.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=patience):
            for pause in (*_PAUSES, None):
                done = subprocess.run(
                    command, cwd=project, env=environment, capture_output=True, text=True, check=False
                )
                if done.returncode == 0:
                    return done.stdout
                if pause is None or not any(sign in done.stderr for sign in _BUSY):
                    break
                time.sleep(pause)
    except Timeout as failure:
        raise TrackingError(f"DVC was busy for {patience:g} s", where=str(lock), mend="try again later") from failure
    said = " / ".join(line for line in done.stderr.splitlines() if line.strip())[-500:]
    raise TrackingError(f"dvc {arguments[0]} failed: {said}", where=str(project), mend=mend)
