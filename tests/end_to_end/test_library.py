"""The package as a library: three functions, results that say what they are, events, failures that stop nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ticketlab
from ticketlab.errors import Diverged, Interrupted, SpecError
from ticketlab.ledger.chain import Chain
from ticketlab.run.events import Event, Notice, Progress, StepFinished, StepStarted
from ticketlab.run.experiment import is_done, open_experiment
from ticketlab.run.experiment import run as run_experiment
from ticketlab.tracking.outbox import Outbox

pytestmark = pytest.mark.usefixtures("torch_as_before", "nobody_answers")

MLP = """\
name: small
data: {dataset: fashion-mnist-mini, count: 100}
model: {kind: mlp, hidden: [6]}
ticket: {method: magnitude, schedule: {rounds: 1, rate: 0.5}}
arms: [ticket, dense]
train: {objective: cross_entropy, steps: 8, batch: 10}
compute: {device: cpu, threads: 1, log_every: 2}
"""

FUNCTIONS = """
import ticketlab
loaded = ticketlab.load_spec("page.yaml")
first = ticketlab.plan("page.yaml")
second = ticketlab.plan("page.yaml", ["train.steps=3"])
assert callable(ticketlab.run) and callable(ticketlab.plan)
import ticketlab.run.execute, ticketlab.plan.steps
assert callable(ticketlab.run) and callable(ticketlab.plan)
print(loaded.spec.name, len(first.pending()), second.plan.name)
"""


def test_the_functions_stay_what_they_are_however_often_they_are_called(tmp_path: Path) -> None:
    """`ticketlab.plan` and `ticketlab.run` are functions although packages have these names too."""
    (tmp_path / "page.yaml").write_text(MLP)
    done = subprocess.run([sys.executable, "-c", FUNCTIONS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("small 6 small+train.steps-3\n", "")


def test_a_spec_is_loaded_with_overrides_and_errors_say_where(plain: Any) -> None:
    file = plain.spec("small", MLP)
    assert ticketlab.load_spec(file, ["seed=7"]).cells[0].spec.seed == 7
    with pytest.raises(SpecError, match="steps"):
        ticketlab.load_spec(file, ["train.steps=-1"])


def test_an_outcome_says_what_was_found(plain: Any) -> None:
    events: list[Event] = []
    experiment = ticketlab.plan(plain.spec("small", MLP))
    assert len(experiment.pending()) == 6
    outcome = ticketlab.run(experiment, listener=events.append)
    assert [result.name for result in outcome.results] == ["ticket", "dense"]
    assert outcome.folder == plain.root / "runs" / "small"
    ticket, dense = outcome.results
    size = 784 * 6 + 6 * 10
    assert (ticket.density, dense.density) == ((size - size // 2) / size, 1.0)
    for result in outcome.results:
        assert set(result.metrics) == {"accuracy", "loss"}
        assert 0 <= result.metrics["accuracy"] <= 1
        assert all(path.is_file() for path in result.files.values())
        assert result.sha256.keys() == result.files.keys()
    assert len(ticket.layer_densities) == 2
    assert ticket.collapsed == {}
    started = [event for event in events if isinstance(event, StepStarted)]
    assert [event.position for event in started] == [1, 2, 3, 4, 5, 6]
    assert {event.total for event in started} == {6}
    assert len([event for event in events if isinstance(event, StepFinished)]) == 6
    training = [event.step for event in events if isinstance(event, Progress) and "loss_train" in event.metrics]
    assert training == [2, 4, 6, 8, 2, 4, 6, 8]
    assert experiment.pending() == []
    assert is_done(experiment)
    assert any(isinstance(event, Notice) and "rows wait" in event.text for event in events)
    _overrides_and_failures(plain)


def _overrides_and_failures(plain: Any) -> None:
    """In the same project, whose steps are shared: changed specs go to folders of their own, one arm's failure is its own."""
    file = plain.root / "specs" / "small.yaml"
    before = (plain.root / "runs" / "small" / "metrics.json").read_bytes()
    again = ticketlab.plan(file, ["train.steps=4"])
    assert [step.kind for _, step in again.pending()] == ["train", "evaluate", "draw", "train", "evaluate"]
    outcome = ticketlab.run(again)
    assert outcome.folder.name == "small+train.steps-4"
    assert (plain.root / "runs" / "small" / "metrics.json").read_bytes() == before

    wild = ticketlab.plan(
        file,
        [
            "arms=[dense]",
            "train.steps=60",
            "train.optimizer={kind: sgd, momentum: 0.99, weight_decay: 1.0}",
            "matrix={train.optimizer.lr: [10, 0.001]}",
        ],
    )
    outcome = ticketlab.run(wild)
    assert [failure.name for failure in outcome.failures] == ["train.optimizer.lr-10/dense"]
    assert isinstance(outcome.failures[0].error, Diverged)
    assert [result.name for result in outcome.results] == ["train.optimizer.lr-0.001/dense"]
    status = {run.name: run.status for run in Outbox.of(plain.root).runs()}
    assert status["train.optimizer.lr-10/dense"] == "FAILED"
    assert status["train.optimizer.lr-0.001/dense"] == "FINISHED"
    chain = Chain(plain.root / "ledger.jsonl")
    assert chain.check().sound
    assert len(list(chain.entries())) == 2 + 2 + 1


def test_a_run_that_was_stopped_goes_on_where_it_was(plain: Any) -> None:
    experiment = open_experiment(plain.spec("small", MLP))
    rows: list[Progress] = []
    events: list[Event] = []

    def stopping() -> bool:
        return len(rows) >= 2

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progress):
            rows.append(event)

    with pytest.raises(Interrupted) as caught:
        run_experiment(experiment, listen, stopping=stopping)
    assert caught.value.exit_code == 130
    status = {run.name: run.status for run in Outbox.of(plain.root).runs()}
    assert set(status.values()) == {"KILLED"}
    assert not is_done(experiment)
    outcome = run_experiment(experiment)
    assert len(outcome.results) == 2
    status = {run.name: run.status for run in Outbox.of(plain.root).runs()}
    assert set(status.values()) == {"FINISHED"}
    for journal in (plain.root / ".ticketlab" / "journals").glob("*.jsonl"):
        seen = [(row["step"], name) for row in map(json.loads, journal.open()) for name in row["metrics"]]
        assert len(seen) == len(set(seen))


def test_a_smoke_run_proves_every_step_in_a_store_of_its_own(plain: Any) -> None:
    file = plain.spec("small", MLP)
    outcome = ticketlab.run(ticketlab.plan(file, smoke=True))
    assert len(outcome.results) == 2
    assert outcome.failures == []
    assert outcome.folder.is_relative_to(plain.root / ".ticketlab" / "smoke")
    assert not (plain.root / "runs").exists()
    assert not (plain.root / "ledger.jsonl").exists()
    assert len(ticketlab.plan(file).pending()) == 6
