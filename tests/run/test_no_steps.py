"""A training of no steps: what networks are before they learn is measured, under the ticket's mask and without one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ticketlab.datasets.synthetic import stand_in
from ticketlab.errors import SpecError
from ticketlab.run.experiment import open_experiment, run
from ticketlab.run.reading import load_spec
from ticketlab.spec.catalog import KNOWN
from ticketlab.tickets.file import read
from ticketlab.training import checkpoint

PAGE = """\
name: still
data: {dataset: noise-like-fashion-mnist}
model: {kind: mlp, hidden: [8]}
ticket: {method: snip, schedule: {density: 0.3}, probe: {per_class: 2, batch: 5}}
arms: [ticket, dense, random]
train: {objective: squared_error, steps: 0}
compute: {device: cpu, threads: 1}
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    (tmp_path / ".ticketlab").mkdir()
    stand_in(KNOWN["fashion-mnist"], tmp_path)
    (tmp_path / "still.yaml").write_text(PAGE)
    return tmp_path / "still.yaml"


def test_the_ticket_is_measured_on_the_initial_weights(page: Path) -> None:
    experiment = open_experiment(page)
    outcome = run(experiment)
    assert not outcome.failures
    dense, ticket = (
        next(arm.plan for arm in experiment.plan.arms() if arm.plan.arm == name) for name in ("dense", "ticket")
    )
    start = checkpoint.read(experiment.store.result(dense.final.train).path("weights.safetensors"))[0]
    worn = checkpoint.read(experiment.store.result(ticket.final.train).path("weights.safetensors"))[0]
    mask = read(experiment.store.result(ticket.final.mask).path("ticket.safetensors"))[0]  # type: ignore[arg-type]
    for name, value in start.items():
        assert torch.equal(worn[name], value * mask[name] if name in mask else value)
    assert {result.name for result in outcome.results} == {"ticket", "dense", "random"}
    assert all(set(result.metrics) == {"accuracy", "loss"} for result in outcome.results)
    assert (page.parent / "runs" / "still" / "results.md").is_file()
    assert not open_experiment(page).pending()


def test_it_is_smoked_without_steps_too(page: Path) -> None:
    experiment = open_experiment(page, to_smoke=True)
    assert not run(experiment).failures
    assert all(arm.plan.final.train.objective.steps == 0 for arm in experiment.plan.arms())


def test_a_curve_without_steps_is_refused(page: Path) -> None:
    with pytest.raises(SpecError, match="never comes in 0"):
        load_spec(page, ["evaluate.every=1"])
