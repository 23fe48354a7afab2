"""Curves of trainings that are killed: every row once and in order, durable before a checkpoint counts on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import ticketlab
from ticketlab.run import journal as journal_module
from ticketlab.run.doctor import _curves
from ticketlab.run.execute import Executor
from ticketlab.run.journal import Journal, rows, spoilt
from ticketlab.run.project import Project
from ticketlab.tracking.rows import row_of


def page(**compute: float) -> str:
    spelled = ", ".join(f"{name}: {value}" for name, value in compute.items())
    return f"""\
name: small
data: {{dataset: specks}}
model: {{kind: mlp, hidden: [4]}}
ticket: {{method: magnitude, schedule: {{rounds: 1, rate: 0.5}}, round_steps: 0}}
arms: [dense]
train: {{objective: cross_entropy, steps: 40, batch: 16}}
evaluate: {{every: 7}}
compute: {{device: cpu, threads: 1, {spelled}}}
"""


Kill = Callable[[int, Path], None]

FORKS = """
import os, signal, sys
import torch
import ticketlab
import ticketlab.run.steps.train
from ticketlab.run.events import Progress
from ticketlab.run.execute import Executor

# What a kill leaves is then known to the row.
sys.modules["ticketlab.run.journal"].TOGETHER_SECONDS = 0

def killed_at(row, root):
    left = iter(range(row - 1, -1, -1))
    def listener(event):
        if isinstance(event, Progress) and "loss_train" in event.metrics and not next(left):
            os.kill(os.getpid(), signal.SIGKILL)
    experiment = ticketlab.plan(f"{root}/specs/small.yaml")
    training = next(step for _, step in experiment.plan.steps() if step.kind == "train")
    Executor(experiment.project.home, experiment.store, listener, lambda: False).ensure(training, "cell")

for line in sys.stdin:
    row, root = line.split(maxsplit=1)
    child = os.fork()
    if not child:
        try:
            killed_at(int(row), root.strip())
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def killed_at() -> Iterator[Callable[[int, Path], None]]:
    """Trains in a process of its own that is killed as it has logged that many rows of the loss.

    These are forked off one that has imported torch and never computes, so that each begins in no time and afresh.
    """
    parent = subprocess.Popen([sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdin is not None
    assert parent.stdout is not None
    requests, answers = parent.stdin, parent.stdout

    def kill(row: int, root: Path) -> None:
        print(row, root, file=requests, flush=True)
        assert int(answers.readline()) == -signal.SIGKILL

    yield kill
    parent.communicate()


def trained(root: Path, *, fresh: bool = False) -> Path:
    """Train in this process, from where the work was left unless `fresh`; the journal."""
    experiment = ticketlab.plan(root / "specs" / "small.yaml")
    training = next(step for _, step in experiment.plan.steps() if step.kind == "train")
    if fresh:
        experiment.store.discard(training)
    Executor(experiment.project.home, experiment.store, lambda event: None, lambda: False).ensure(training, "cell")
    return experiment.store.journal(training)


def journal_of(root: Path) -> Path:
    return next((root / ".ticketlab" / "journals").glob("*.jsonl"))


def lines(path: Path) -> list[dict[str, object]]:
    found = [row_of(line) for line in path.read_bytes().splitlines(keepends=True)]
    assert all(found)
    return found  # type: ignore[return-value]


def values(path: Path) -> list[tuple[object, object]]:
    return [(line["step"], line["metrics"]) for line in lines(path)]


@pytest.mark.parametrize("checkpoint_seconds", [0, 60])
def test_rows_of_a_killed_training_come_once_in_order_and_keep_their_times(
    specks: Path, killed_at: Kill, checkpoint_seconds: float
) -> None:
    (specks / "specs" / "small.yaml").write_text(page(log_every=2, checkpoint_seconds=checkpoint_seconds))
    for row in (7, 3):
        killed_at(row, specks)
    before = journal_of(specks).read_bytes()
    journal = trained(specks)
    killed = values(journal)
    assert journal.read_bytes().startswith(before)
    assert values(trained(specks, fresh=True)) == killed
    steps = [step for step, metrics in killed if "loss_train" in metrics]  # type: ignore[operator]
    assert steps == list(range(2, 41, 2))


def test_rows_further_apart_take_the_place_of_what_an_attempt_left_beyond_its_checkpoint(
    specks: Path, killed_at: Kill
) -> None:
    (specks / "specs" / "small.yaml").write_text(page(log_every=1, checkpoint_seconds=60))
    killed_at(20, specks)
    assert [step for step, _ in values(journal_of(specks))][-1] == 20
    (specks / "specs" / "small.yaml").write_text(page(log_every=8, checkpoint_seconds=60))
    found = values(trained(specks))
    assert [step for step, metrics in found if "loss_train" in metrics] == [8, 16, 24, 32, 40]  # type: ignore[operator]
    assert [step for step, _ in found] == sorted(step for step, _ in found)  # type: ignore[type-var]
    assert values(trained(specks, fresh=True)) == found


def test_what_is_settled_stays_where_rows_become_further_apart(specks: Path, killed_at: Kill) -> None:
    (specks / "specs" / "small.yaml").write_text(page(log_every=1, checkpoint_seconds=0))
    killed_at(20, specks)
    (specks / "specs" / "small.yaml").write_text(page(log_every=8, checkpoint_seconds=0))
    found = values(trained(specks))
    steps = [step for step, metrics in found if "loss_train" in metrics]  # type: ignore[operator]
    # The checkpoint of step 19 was there, the one of step 20 was not.
    assert steps == [*range(1, 20), 24, 32, 40]


def test_every_row_is_durable_before_a_checkpoint_of_a_later_step(
    specks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").resolve().name
        happened.append("checkpoint" if "checkpoint.safetensors" in name else "rows" if "jsonl" in name else "other")
        real(descriptor)

    log = Journal.__call__

    def logged(journal: Journal, step: int, metrics: Mapping[str, float]) -> None:
        happened.append("row")
        log(journal, step, metrics)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(journal_module.Journal, "__call__", logged)
    (specks / "specs" / "small.yaml").write_text(page(log_every=2, checkpoint_seconds=0))
    trained(specks)
    at = [place for place, what in enumerate(happened) if what == "checkpoint"]
    assert len(at) == 39
    for place in at:
        before = [what for what in happened[:place] if what in ("row", "rows")]
        assert not before or before[-1] == "rows", "a row was still on its way"
    training = happened[: at[-1]]
    assert training.count("rows") <= training.count("row"), "no row, no fsync"


def test_a_flipped_byte_costs_its_row_and_is_located(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    journal = Journal(path)
    for step in range(4):
        journal(step, {"loss": 1 / (1 + step)})
    journal.close()
    content = path.read_bytes()
    for position in range(len(content) - 1):
        flipped = bytearray(content)
        flipped[position] ^= 1
        path.write_bytes(bytes(flipped))
        number = content[:position].count(b"\n") + 1
        assert spoilt(path)[0] == number
        assert all(row["loss"] == 1 / (1 + row["step"]) for row in rows(path))
        assert number - 1 not in [row["step"] for row in rows(path)]


def test_a_line_says_what_it_was_made_from(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    journal = Journal(path)
    journal(3, {"crc32": 1.0, 'quo"te': 2.0})
    journal.close()
    (row,) = lines(path)
    assert row["metrics"] == {"crc32": 1.0, 'quo"te': 2.0}
    assert json.loads(path.read_bytes())["step"] == 3


def test_the_doctor_names_the_line_of_a_journal_that_is_not_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / ".ticketlab" / "journals" / "x.jsonl"
    journal = Journal(path)
    for step in range(4):
        journal(step, {"loss": 1.0})
    journal.close()
    assert list(_curves(Project(tmp_path))) == []
    path.write_bytes(path.read_bytes().replace(b'"step": 2', b'"step": 9'))
    (finding,) = _curves(Project(tmp_path))
    assert not finding.good
    assert "x.jsonl: 1 of its lines" in finding.what
    assert finding.what.endswith("line 3")
