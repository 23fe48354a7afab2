from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "ticketlab")
NOBODY = "http://127.0.0.1:9"

SPEC = """\
name: small
data: {dataset: specks}
model: {kind: mlp, hidden: [4]}
ticket: {method: magnitude, schedule: {rounds: 1, rate: 0.5}}
arms: [ticket, dense]
train: {objective: cross_entropy, steps: 8, batch: 16}
evaluate: {every: 4}
compute: {device: cpu, threads: 1, log_every: 1}
"""


@dataclass(frozen=True)
class Lab:
    """A small project on 64 images of noise, outside git and DVC, and the command line in it."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "specs" / "small.yaml"

    def start(self, *arguments: str, before: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
        """`ticketlab ARGUMENTS`, begun in a session of its own."""
        return subprocess.Popen(
            [*before, *COMMAND, *arguments],
            cwd=self.root,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ticketlab(self, *arguments: str, before: tuple[str, ...] = (), **environment: str) -> tuple[int, str]:
        """Exit code and output of `ticketlab ARGUMENTS`, which is never a traceback and fits a screen."""
        process = self.start(*arguments, before=before, **environment)
        output, _ = process.communicate(timeout=300)
        assert "Traceback" not in output, output
        assert len(output.splitlines()) <= 50, output
        return process.returncode, output

    def published(self) -> dict[str, str]:
        """The sha256 of every published file; of statements, which hold times, only that they are there."""
        from ticketlab.files import sha256_file

        runs = self.root / "runs"
        return {
            path.relative_to(runs).as_posix(): "" if path.name == "statement.json" else sha256_file(path)
            for path in sorted(runs.rglob("*"))
            if path.is_file()
        }

    def entries(self) -> list[str]:
        """The runs in the ledger, which must be sound, by cell and arm."""
        from ticketlab.ledger.chain import Chain
        from ticketlab.ledger.listing import summary

        chain = Chain(self.root / "ledger.jsonl")
        report = chain.check()
        assert report.sound, report.fault
        return [summary(entry).cell for entry in chain.entries()]

    def rows(self) -> Counter[tuple[str, str, int]]:
        """How often MLflow has each (run, metric, step)."""
        with sqlite3.connect(self.root / "mlflow.db") as database:
            return Counter(database.execute("select run_uuid, key, step from metrics").fetchall())

    def statuses(self) -> dict[str, str]:
        """The status of every run in MLflow by its name."""
        with sqlite3.connect(self.root / "mlflow.db", timeout=30) as database:
            found = database.execute("select name, status from runs").fetchall()
        assert len(dict(found)) == len(found), "two runs of one name"
        return dict(found)

    def statuses_of_all(self) -> list[str]:
        """The status of every run in MLflow."""
        with sqlite3.connect(self.root / "mlflow.db", timeout=30) as database:
            return [status for (status,) in database.execute("select status from runs").fetchall()]

    def journal_rows(self) -> int:
        """How many values the outbox's runs have in their journals, each (metric, step) once."""
        from ticketlab.run.journal import rows
        from ticketlab.tracking.outbox import Outbox

        return sum(
            len(row) - 1
            for run in Outbox.of(self.root).runs()
            for journal in run.journals
            for row in rows(self.root / journal.path)
        )


@pytest.fixture(scope="session")
def specks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with data/specks (64 + 32 images of noise, 8 x 8, in two classes), specs/small.yaml, an empty mlflow.db."""
    import torch

    from ticketlab.datasets.pack import Split, write_pack
    from ticketlab.tracking.store import client_of, store_of

    root = tmp_path_factory.mktemp("specks")
    noise = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        images = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=noise)
        return Split(images, torch.arange(count) % 2)

    splits = {"train": split(64), "test": split(32)}
    write_pack(root, "specks", splits, class_names=("a", "b"), licence="CC0-1.0", source="noise")  # type: ignore[arg-type]
    # Made once: MLflow takes 68 migrations for an empty database, many seconds in every project.
    client_of(root, store_of(root, "sqlite:///mlflow.db"))
    (root / "specs").mkdir()
    (root / "specs" / "small.yaml").write_text(SPEC)
    return root


@pytest.fixture
def lab(specks: Path, tmp_path: Path) -> Lab:
    """A project in which nothing was run yet."""
    shutil.copytree(specks, tmp_path / "lab")
    return Lab(tmp_path / "lab")


@pytest.fixture(scope="session")
def undisturbed(specks: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The project after `ticketlab run specs/small.yaml`; nothing in it may be changed."""
    root = tmp_path_factory.mktemp("undisturbed") / "lab"
    shutil.copytree(specks, root)
    code, output = Lab(root).ticketlab("run", "specs/small.yaml")
    assert code == 0, output
    return Lab(root)


@pytest.fixture
def done(undisturbed: Lab, tmp_path: Path) -> Lab:
    """A copy of the finished project, to be harmed at will."""
    shutil.copytree(undisturbed.root, tmp_path / "done")
    return Lab(tmp_path / "done")


@pytest.fixture
def flipped() -> Callable[[Path], None]:
    """Changes one bit in the middle of a file."""

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return flip


@pytest.fixture
def truncated() -> Callable[[Path], None]:
    """Cuts a file after two thirds."""

    def cut(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: 2 * len(content) // 3])

    return cut


@pytest.fixture
def mounted() -> Iterator[Callable[..., None]]:
    """Mounts a file system, for the test alone; where that is not permitted the test is skipped."""
    places: list[Path] = []

    def mount(*arguments: str, at: Path) -> None:
        done = subprocess.run(["mount", *arguments, str(at)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
        places.append(at)

    yield mount
    for place in reversed(places):
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def family(pid: int) -> list[int]:
    """A process and those that it and they started (Linux)."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


@pytest.fixture
def kill_all() -> Callable[[subprocess.Popen[str]], None]:
    """SIGKILL a process that a test started, and all that it started."""

    def kill(process: subprocess.Popen[str]) -> None:
        for pid in family(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()

    return kill


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits until something is true, a minute at most."""

    def wait(what: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
        limit = time.monotonic() + 60
        while True:
            with suppress(OSError, ValueError, sqlite3.Error):
                if what():
                    return
            assert time.monotonic() < limit
            assert process is None or process.poll() is None, process.communicate()[0]
            time.sleep(0.02)

    return wait


@pytest.fixture
def training(until: Callable[..., None]) -> Callable[..., subprocess.Popen[str]]:
    """A run of 100,000 steps, begun, that has written its first rows."""

    def begin(lab: Lab, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        settings = ("--set", "train.steps=100000", "--set", "evaluate.every=100000")
        process = lab.start("run", "specs/small.yaml", *settings, *arguments, **environment)
        until(lambda: any(path.stat().st_size for path in (lab.root / ".ticketlab/journals").iterdir()), process)
        return process

    return begin


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def connected() -> Callable[[Path], object]:
    """A connection to a database, closed in the end."""
    return _connected


@pytest.fixture
def told() -> Callable[[Path], dict[str, object]]:
    """A JSON file."""
    return lambda path: json.loads(path.read_bytes())  # type: ignore[no-any-return]
