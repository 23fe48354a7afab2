from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ticketlab.ledger.chain import Chain
from ticketlab.ledger.facts import Artifact, Code, RunFacts
from ticketlab.ledger.statement import provenance
from ticketlab.plan.steps import Step
from ticketlab.run.events import Event
from ticketlab.run.execute import Executor
from ticketlab.run.store import Store

PERFORMER = '''
"""A step that writes its number, slowly enough to be caught at it."""

import time
from pathlib import Path


def perform(step, place):
    with (place.folder / "begun").open("a") as handle:
        handle.write("x")
    with Path(step.diary).open("a") as handle:
        handle.write(f"{step.number}\\n")
    time.sleep(step.seconds)
    for role, folder in place.inputs.items():
        assert (folder / "number.txt").is_file(), role
    place.log(step.number, {"number": step.number})
    if step.number < 0:
        raise RuntimeError("killed between the steps")
    (place.out / "number.txt").write_text(f"{step.number}\\n")
    (place.out / "words.txt").write_text("words " * 100)
    # The last bits, which nothing that is asked decides: they come from the machine, here a file, and from the inputs.
    machine = Path(step.diary).with_name("machine")
    read = [(folder / "bits.txt").read_text() for folder in place.inputs.values()]
    (place.out / "bits.txt").write_text("".join(read) + (machine.read_text() if machine.exists() else "0"))
'''

_NUMBERS = itertools.count()


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Step]:
    """Makes cheap steps; each performance leaves a line in the file `diary`."""
    module = f"counting_step_{next(_NUMBERS)}"
    (tmp_path / f"{module}.py").write_text(PERFORMER)
    monkeypatch.syspath_prepend(str(tmp_path))

    @dataclass(frozen=True, kw_only=True)
    class Counting(Step):
        performed_by: ClassVar[str] = f"{module}:perform"
        kind: ClassVar[str] = "counting"
        number: int
        diary: str
        seconds: float = 0.0

    def make(number: int, inputs: Mapping[str, Step] | None = None, seconds: float = 0.0) -> Step:
        return Counting(number=number, diary=str(tmp_path / "diary"), inputs=inputs or {}, seconds=seconds)

    return make


@pytest.fixture
def performed(tmp_path: Path) -> Callable[[], list[int]]:
    """The numbers of the steps that were performed, in order."""

    def read() -> list[int]:
        diary = tmp_path / "diary"
        return [int(line) for line in diary.read_text().split()] if diary.exists() else []

    return read


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return tmp_path / ".ticketlab"


@pytest.fixture
def executor(lab: Path) -> Callable[..., Executor]:
    """An executor as another process would make it, and the events it tells."""

    def make(events: list[Event] | None = None) -> Executor:
        listener = events.append if events is not None else lambda event: None
        return Executor(lambda dataset: lab.parent, Store(lab), listener, lambda: False)

    return make


SPECKS = """\
name: small
data: {dataset: specks}
model: {kind: mlp, hidden: [4]}
ticket: {method: magnitude, schedule: {rounds: 1, rate: 0.5}}
arms: [ticket]
train: {objective: cross_entropy, steps: 4, batch: 16}
compute: {device: cpu, log_every: 1}
"""


def make_specks(root: Path) -> Path:
    """A project outside git and DVC with 64 + 32 images of noise, 8 x 8, in two classes, and specs/small.yaml."""
    import torch

    from ticketlab.datasets.pack import Split, write_pack

    noise = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        images = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=noise)
        return Split(images, torch.arange(count) % 2)

    splits = {"train": split(64), "test": split(32)}
    write_pack(root, "specks", splits, class_names=("a", "b"), licence="CC0-1.0", source="noise")  # type: ignore[arg-type]
    (root / ".ticketlab").mkdir()
    (root / "specs").mkdir()
    (root / "specs" / "small.yaml").write_text(SPECKS)
    return root


@pytest.fixture(scope="session")
def new_specks() -> Callable[[Path], Path]:
    """`make_specks`, for fixtures of more than one test."""
    return make_specks


@pytest.fixture
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow is at an address where nobody is."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


@pytest.fixture
def specks(tmp_path: Path, nobody_answers: None) -> Path:
    """The project of `make_specks`; no MLflow."""
    return make_specks(tmp_path / "project")


@pytest.fixture(scope="session")
def specks_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `make_specks` after a run of its spec, to be copied."""
    import ticketlab

    root = make_specks(tmp_path_factory.mktemp("specks") / "project")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        assert not ticketlab.run(root / "specs" / "small.yaml").failures
    return root


@pytest.fixture
def run_specks(specks_once: Path, tmp_path: Path, nobody_answers: None) -> Path:
    """A copy of the project after a run of its spec; no MLflow."""
    return Path(shutil.copytree(specks_once, tmp_path / "project", symlinks=True))


@pytest.fixture
def stated_of() -> Callable[[Path, Code], None]:
    """States in the ledger of a project that the run `first` was done by this code, and next to nothing else."""

    def state(root: Path, code: Code) -> None:
        now = datetime.now(UTC)
        kept: dict[str, Any] = {"spec": {}, "determinism": {}, "machine": {}, "packages": {}}
        run = RunFacts(
            run="first",
            cell="small/ticket",
            arm="ticket",
            subjects=(Artifact("metrics.json", "0" * 64, path="metrics.json"),),
            device="cpu",
            precision="fp32",
            code=code,
            started=now,
            finished=now,
            **kept,
        )
        Chain(root / "ledger.jsonl").append(provenance(run))

    return state


@pytest.fixture
def on_one_core() -> Iterator[Callable[[], None]]:
    """From its call on this process may use one core, as on a smaller machine."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("a process can be given fewer cores only where it has several")
    every = os.sched_getaffinity(0)
    yield lambda: os.sched_setaffinity(0, {min(every)})
    os.sched_setaffinity(0, every)
