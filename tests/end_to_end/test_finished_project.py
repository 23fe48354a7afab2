"""What a run leaves: results where one looks for them, a sound ledger, every row in MLflow once, DVC clean."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ticketlab.files import sha256_file
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.listing import summary
from ticketlab.run.journal import rows
from ticketlab.tickets.file import read as read_ticket
from ticketlab.training import checkpoint

ARMS = ("ticket", "dense", "random", "shuffled", "fresh_weights")


@pytest.fixture(scope="module")
def folder(finished: Any) -> Path:
    return finished.root / "runs" / "tiny"


@pytest.fixture(scope="module")
def gan(finished: Any) -> Path:
    return finished.root / "runs" / "tiny-gan"


def test_the_run_succeeds_pulls_its_images_and_ends_with_a_table(finished: Any) -> None:
    answer = finished.answer
    assert answer.code == 0, answer.out + answer.err
    assert "pulling data/fashion-mnist-mini" in answer.out
    for arm in ARMS:
        assert any(line.strip().startswith("│ ") and arm in line for line in answer.out.splitlines()), arm
    assert "runs/tiny" in answer.out
    assert "25.00%" in answer.out
    assert answer.err == ""


def test_results_lie_where_they_are_looked_for(folder: Path) -> None:
    for arm in ARMS:
        versioned = {path.name for path in (folder / "tickets" / arm).iterdir()}
        assert versioned == {"weights.safetensors"} | ({"ticket.safetensors"} if arm != "dense" else set())
        assert {"metrics.json", "spec.json", "statement.json"} <= {path.name for path in (folder / arm).iterdir()}
    assert {"metrics.json", "curves.csv", "curves.png", "results.md"} <= {path.name for path in folder.iterdir()}
    assert Image.open(folder / "curves.png").format == "PNG"
    assert not list(folder.rglob("*.part"))


def test_a_gan_leaves_statistics_and_samples(gan: Path) -> None:
    (statistics,) = (gan / "statistics").iterdir()
    assert {path.name for path in statistics.iterdir()} == {"statistics.npz", "extractor.safetensors"}
    assert [path.name for path in sorted((gan / "ticket" / "samples").iterdir())] == ["0000002.png"]
    assert Image.open(gan / "ticket" / "samples.png").size > (200, 200)
    metrics = json.loads((gan / "metrics.json").read_bytes())["ticket"]
    assert metrics.pop("density") == pytest.approx(0.3, abs=0.01)
    extractor = "labclassifier-fashion-mnist-mini-2steps_128"
    distances = {f"fd_{extractor}", f"mmd3_{extractor}"}
    assert set(metrics) == distances | {"precision", "recall", "prdc_density", "coverage"}


def test_masks_keep_exactly_what_was_asked_and_weights_obey_them(folder: Path) -> None:
    masks = {arm: read_ticket(folder / "tickets" / arm / "ticket.safetensors")[0] for arm in ARMS if arm != "dense"}
    ticket = masks["ticket"]
    once = ticket.size - round(ticket.size / 2)
    assert ticket.kept == once - round(once / 2)
    assert masks["fresh_weights"] == ticket
    for arm in ("random", "shuffled"):
        assert masks[arm].layer_kept() == ticket.layer_kept()
        assert masks[arm] != ticket
    assert masks["random"] != masks["shuffled"]
    for arm, mask in masks.items():
        weights, _ = checkpoint.read(folder / "tickets" / arm / "weights.safetensors")
        for layer, kept in mask.items():
            assert bool((weights[layer][~kept] == 0).all())
            assert bool((weights[layer][kept] != 0).any()) or not kept.any()


def test_the_tables_say_what_the_arms_say(folder: Path) -> None:
    over_all = json.loads((folder / "metrics.json").read_bytes())
    assert list(over_all) == list(ARMS)
    for arm in ARMS:
        own = json.loads((folder / arm / "metrics.json").read_bytes())
        assert {name: value for name, value in over_all[arm].items() if name != "density"} == own
        assert json.loads((folder / arm / "spec.json").read_bytes())["seed"] == 3
    assert over_all["dense"]["density"] == 1
    with (folder / "curves.csv").open() as handle:
        table = list(csv.DictReader(handle))
    for arm in ARMS:
        steps = [int(row["step"]) for row in table if row["arm"] == arm and row["loss_train"]]
        assert steps == [2, 4, 6]
        measured = [int(row["step"]) for row in table if row["arm"] == arm and row["accuracy"]]
        assert measured == [3, 6]


def test_the_ledger_is_sound_and_has_one_entry_per_arm(finished: Any) -> None:
    chain = Chain(finished.root / "ledger.jsonl")
    assert chain.check().sound
    entries = list(chain.entries())
    found = [summary(entry) for entry in entries]
    assert [one.kind for one in found] == ["run"] * 6
    assert [one.cell for one in found] == [*(f"tiny/{arm}" for arm in ARMS), "tiny-gan/ticket"]
    assert len({one.run for one in found}) == 6
    for entry in entries:
        assert entry.statement["_type"] == "https://in-toto.io/Statement/v1"
        subjects = {one["name"]: one["digest"]["sha256"] for one in entry.statement["subject"]}
        assert len(subjects) >= 2
        assert str(finished.root) not in json.dumps(entry.statement)


def test_every_subject_of_the_ledger_is_a_published_file_with_that_digest(finished: Any) -> None:
    published = {sha256_file(path) for path in (finished.root / "runs").rglob("*") if path.is_file()}
    for entry in Chain(finished.root / "ledger.jsonl").entries():
        for subject in entry.statement["subject"]:
            assert subject["digest"]["sha256"] in published, subject["name"]


def test_the_statement_beside_an_arm_is_the_one_in_the_ledger(finished: Any, folder: Path) -> None:
    stated = [dict(entry.statement) for entry in Chain(finished.root / "ledger.jsonl").entries()]
    for arm in ARMS:
        assert json.loads((folder / arm / "statement.json").read_bytes()) in stated


@pytest.fixture(scope="module")
def mlflow_runs(finished: Any) -> tuple[Any, dict[str, Any]]:
    """A client on the project's database, and the runs by the name of experiment and run."""
    from ticketlab.tracking.store import client_of, store_of

    client = client_of(finished.root, store_of(finished.root, "sqlite:///mlflow.db"))
    runs = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], max_results=1000):
            key = f"{experiment.name}: {run.info.run_name}"
            assert key not in runs
            runs[key] = run
    return client, runs


def test_mlflow_has_a_parent_a_run_per_arm_and_one_per_round(mlflow_runs: tuple[Any, dict[str, Any]]) -> None:
    _, runs = mlflow_runs
    arms = {f"tiny: {arm}" for arm in ARMS}
    rounds = {"tiny: ticket, round 1", "tiny: ticket, round 2"}
    assert {name for name in runs if name.startswith("tiny: ")} == {"tiny: tiny"} | arms | rounds
    parent, ticket = (runs[f"tiny: {name}"].info.run_id for name in ("tiny", "ticket"))
    assert {runs[name].data.tags["mlflow.parentRunId"] for name in arms} == {parent}
    assert {runs[name].data.tags["mlflow.parentRunId"] for name in rounds} == {ticket}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["tiny: dense"].data.params["train.steps"] == "6"
    assert runs["tiny: dense"].data.params["compute.threads"] == "1"


def test_mlflow_has_every_row_of_every_curve_once(finished: Any, mlflow_runs: tuple[Any, dict[str, Any]]) -> None:
    client, runs = mlflow_runs
    from ticketlab.tracking.outbox import Outbox

    compared = 0
    for tracked in Outbox.of(finished.root).runs():
        run = runs[f"{tracked.experiment}: {tracked.name}"]
        expected = {
            (name, int(row["step"])): value
            for journal in tracked.journals
            for row in rows(finished.root / journal.path)
            for name, value in row.items()
            if name != "step"
        }
        delivered = [
            ((name, metric.step), metric.value)
            for name in run.data.metrics
            for metric in client.get_metric_history(run.info.run_id, name)
        ]
        assert len(delivered) == len(dict(delivered)), "a row is there twice"
        assert dict(delivered) == expected
        compared += len(delivered)
    assert compared > 60


def test_mlflow_has_the_small_files_of_an_arm(finished: Any, mlflow_runs: tuple[Any, dict[str, Any]]) -> None:
    client, runs = mlflow_runs
    from ticketlab.tracking.outbox import Outbox

    ticket = next(
        run for run in Outbox.of(finished.root).runs() if (run.experiment, run.name) == ("tiny-gan", "ticket")
    )
    names = {Path(artifact.path).name for artifact in ticket.artifacts}
    assert {"spec.json", "metrics.json", "samples.png", "ticket.safetensors", "0000002.png", "statement.json"} <= names
    assert runs["tiny-gan: ticket"].data.tags["sha256.weights.safetensors"] == sha256_file(
        finished.root / "runs/tiny-gan/tickets/ticket/weights.safetensors"
    )
    folders = list((finished.root / "mlartifacts").rglob("ticket.safetensors"))
    assert len(folders) == 5
    assert client.search_experiments(filter_string="name = 'tiny-gan'")


def test_dvc_versions_the_tickets_and_finds_nothing_changed(finished: Any) -> None:
    from ticketlab.tracking import dvc
    from ticketlab.tracking.pipeline import md5_of

    assert dvc.status(finished.root) == {}
    for name in ("tiny", "tiny-gan"):
        assert md5_of(finished.root, f"runs/{name}/tickets")


def test_nothing_unfinished_is_left_in_the_lab(finished: Any) -> None:
    lab = finished.root / ".ticketlab"
    assert list((lab / "work").iterdir()) == []
    assert not list(lab.rglob("*.part"))
    assert not list(lab.rglob("*.removed-*"))
