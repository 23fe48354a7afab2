from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from filelock import FileLock

REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "ticketlab")

LENET = """\
name: tiny
seed: 3
data: {dataset: fashion-mnist-mini, ratio: 0.05}
model: {kind: lenet, channels: [2, 3], hidden: [8]}
ticket: {method: magnitude, schedule: {rounds: 2, rate: 0.5}}
arms: [ticket, dense, random, shuffled, fresh_weights]
train: {objective: cross_entropy, steps: 6, batch: 16, augment: [{kind: flip}]}
evaluate: {every: 3}
compute: {device: cpu, threads: 1, log_every: 2}
"""

GAN = """\
name: tiny-gan
data: {dataset: fashion-mnist-mini, size: 32, fit: pad}
model: {kind: sngan, width: 4, critic_width: 4, latent: 8}
ticket: {method: magnitude, schedule: {density: 0.3}, rewind: {step: 1}}
train: {objective: hinge, steps: 4, batch: 8, generator_batch: 8, n_critic: 1, augment: [{kind: diffaugment}]}
evaluate: {samples: 40, every: 2, metrics: [frechet, kernel, prdc], extractor: {kind: lab_classifier, steps: 2}}
compute: {device: cpu, threads: 1}
"""


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, output, errors, seconds."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Place:
    """A project folder and the command line in it."""

    root: Path

    def ticketlab(self, *arguments: str, **environment: str) -> Answer:
        started = time.perf_counter()
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr, time.perf_counter() - started)

    def spec(self, name: str, text: str) -> Path:
        path = self.root / "specs" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path


def versioned(root: Path) -> Place:
    """A project in git and DVC whose images are in its DVC remote only, with the specs `tiny` and `tiny-gan`."""
    for name in (".gitignore", ".dvcignore", "data.dvc", ".dvc/config", ".dvc/.gitignore", "specs/datasets.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    shutil.copytree(REPOSITORY / ".dvc" / "remote", root / ".dvc" / "remote")
    place = Place(root)
    place.spec("tiny", LENET)
    place.spec("tiny-gan", GAN)
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Begin"]):
        subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)
    return place


@dataclass(frozen=True)
class Finished:
    """A project in which `ticketlab run specs/tiny.yaml specs/tiny-gan.yaml` was called once, and what it said."""

    place: Place
    answer: Answer

    @property
    def root(self) -> Path:
        return self.place.root


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Nothing in it may be changed. It takes half a minute, so all workers of a test run share one."""
    ours = tmp_path_factory.getbasetemp()
    shared = ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours
    root, answer = shared / "finished", shared / "finished.json"
    with FileLock(shared / "finished.lock"):
        if not answer.exists():
            found = versioned(root).ticketlab("run", "specs/tiny.yaml", "specs/tiny-gan.yaml")
            answer.write_text(json.dumps(asdict(found)))
    return Finished(Place(root), Answer(**json.loads(answer.read_text())))


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Finished:
    """A copy of the finished project, to be changed at will."""
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    return Finished(Place(tmp_path / "copy"), finished.answer)


@pytest.fixture
def plain(finished: Finished, tmp_path: Path) -> Place:
    """A project outside git and DVC that has the images and nothing else."""
    root = tmp_path / "plain"
    shutil.copytree(finished.root / "data", root / "data")
    (root / ".ticketlab").mkdir()
    return Place(root)


@pytest.fixture
def torch_as_before() -> Iterator[None]:
    """A run in this process sets torch's switches; afterwards they are as they were."""
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_flush_denormal(False)


@pytest.fixture
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracking server is down."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


@pytest.fixture
def digests() -> Callable[[Path], dict[str, str]]:
    """The sha256 of every published file; of statements, which hold times, only that they are there, and none of DVC's."""
    from ticketlab.files import sha256_file

    def of(folder: Path) -> dict[str, str]:
        found = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != ".gitignore" and path.suffix != ".dvc":
                digest = "" if path.name == "statement.json" else sha256_file(path)
                found[path.relative_to(folder).as_posix()] = digest
        return found

    return of
