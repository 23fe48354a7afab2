"""Is this machine fit to run? Versions, device, threads, folders, MLflow and DVC, each finding with its mend."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from urllib.parse import quote

from ticketlab.errors import EnvironmentProblem
from ticketlab.run.journal import spoilt
from ticketlab.run.project import Project

MATCHING = {"2.11": "0.26", "2.12": "0.27", "2.13": "0.28", "2.14": "0.29"}
"""torchvision releases by the torch release they are built for."""

LEAST = {"mlflow": (3, 11), "dvc": (3, 60), "torch": (2, 11)}

MOVE_AWAY = "move it away; `ticketlab reconcile` makes a new one"


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    good: bool
    what: str
    mend: str = ""


def examine(project: Project) -> Iterator[Finding]:
    """All findings about a project on this machine."""
    yield from _versions()
    if find_spec("torch"):
        yield from _devices()
    yield from _folders(project)
    yield from _curves(project)
    yield _mlflow(project)
    yield _dvc(project)


def _versions() -> Iterator[Finding]:
    for name, least in LEAST.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding(False, f"{name} is not installed", f"pip install '{name}>={'.'.join(map(str, least))}'")
            continue
        release = tuple(int(part) for part in found.split("+")[0].split(".")[:2])
        wanted = ".".join(map(str, least))
        yield Finding(
            release >= least, f"{name} {found}", f"ticketlab needs {wanted} or later: pip install '{name}>={wanted}'"
        )
    yield from _torchvision()


def _torchvision() -> Iterator[Finding]:
    try:
        torch_release, vision = ".".join(version("torch").split(".")[:2]), version("torchvision")
    except PackageNotFoundError:
        if find_spec("torch"):
            yield Finding(False, "torchvision is not installed", "install torch and torchvision from one index")
        return
    expected = MATCHING.get(torch_release)
    matches = expected is None or vision.startswith(f"{expected}.")
    yield Finding(
        matches, f"torchvision {vision} beside torch {version('torch')}", f"pip install 'torchvision=={expected}.*'"
    )
    try:
        import torchvision  # noqa: F401 - a CPU-only torch beside another torchvision fails here
    except (ImportError, RuntimeError) as error:
        yield Finding(False, f"torchvision cannot be imported: {error}", "install torch and torchvision from one index")


def _devices() -> Iterator[Finding]:
    import torch

    from ticketlab.cores import available_cores
    from ticketlab.run.device import refuse_fewer_threads

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield Finding(True, f"devices: cpu{''.join(f', {name}' for name in names)}")
    cores = available_cores()
    limit = os.environ.get("OMP_NUM_THREADS")
    yield Finding(
        True, f"{cores} cores, OMP_NUM_THREADS {limit or 'not set'}; a run uses compute.threads, or all cores"
    )
    try:
        refuse_fewer_threads(cores)
    except EnvironmentProblem as problem:
        yield Finding(False, problem.what, problem.mend)


def _folders(project: Project) -> Iterator[Finding]:
    free = os.statvfs(project.root)
    gigabytes = free.f_bavail * free.f_frsize / 2**30
    yield Finding(gigabytes > 1, f"{gigabytes:.0f} GiB free", "make room: checkpoints and statistics are kept")
    writable = os.access(project.root, os.W_OK)
    yield Finding(writable, f"project folder is {'' if writable else 'not '}writable", "work in a folder of your own")


def _curves(project: Project) -> Iterator[Finding]:
    for path in sorted((project.lab / "journals").glob("*.jsonl")):
        lines = spoilt(path)
        if lines:
            where = path.relative_to(project.root)
            what = f"{where}: {len(lines)} of its lines are not what was written, the first is line {lines[0]}"
            yield Finding(
                False, what, "results are not touched; `ticketlab run --fresh` of its spec draws the curve anew"
            )


def _mlflow(project: Project) -> Finding:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri:
        return Finding(True, "MLflow: MLFLOW_TRACKING_URI is set")
    database = project.root / "mlflow.db"
    if not database.exists():
        return Finding(True, "MLflow: no database yet; the first run makes it")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=2)) as connection:
            (revisions,) = connection.execute("select count(*) from alembic_version").fetchone()
    except sqlite3.Error as error:
        return Finding(False, f"MLflow: mlflow.db cannot be read ({error})", MOVE_AWAY)
    if not revisions:
        return Finding(False, "MLflow: mlflow.db was begun and never finished", MOVE_AWAY)
    return Finding(True, "MLflow: mlflow.db is sound")


def _dvc(project: Project) -> Finding:
    from ticketlab.errors import TrackingError
    from ticketlab.tracking import dvc

    if not dvc.is_repository(project.root):
        return Finding(True, "DVC: not a DVC repository; checkpoints are not versioned (dvc init)")
    try:
        changed = dvc.status(project.root)
    except TrackingError as error:
        return Finding(False, f"DVC: {error.what}", error.mend)
    return Finding(True, f"DVC: {'clean' if not changed else 'not up to date: ' + ', '.join(changed) + ' (dvc repro)'}")
