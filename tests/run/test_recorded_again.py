"""Every file that is published is in the ledger, also when work is done again and comes out otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ticketlab
from ticketlab.cli.main import app
from ticketlab.files import canonical_json, sha256_bytes, sha256_file
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.listing import run_named
from ticketlab.ledger.statement import BUILD_TYPE, PROVENANCE, STATEMENT, facts, subjects
from ticketlab.run.experiment import Experiment, is_done, open_experiment


def done_elsewhere(experiment: Experiment, accuracy: float) -> None:
    """The last step is lost, and what another machine makes of it takes its place in the store."""
    store = experiment.store
    (address,) = experiment.plan.arms()
    evaluate = address.plan.final.evaluate
    before = store.result(evaluate)
    metrics = json.loads(before.path("metrics.json").read_bytes())
    store.discard(evaluate)
    with store.working(evaluate) as work:
        out = work / "out"
        out.mkdir()
        (out / "metrics.json").write_text(json.dumps({**metrics, "accuracy": accuracy}))
        machine = {**before.surroundings["machine"], "cpu": "Another"}
        store.finish(evaluate, out, {**before.surroundings, "machine": machine}, before.inputs)


def test_what_is_done_again_and_comes_out_otherwise_is_stated_before_it_is_published_for_good(specks: Path) -> None:
    experiment = ticketlab.plan(specks / "specs" / "small.yaml")
    assert not ticketlab.run(experiment).failures
    assert not ticketlab.run(experiment).failures
    chain = Chain(specks / "ledger.jsonl")
    (first,) = chain.entries()

    done_elsewhere(experiment, accuracy=0.125)
    for _ in range(2):
        outcome = ticketlab.run(experiment)
        assert not outcome.failures
        assert outcome.results[0].metrics["accuracy"] == 0.125
        again, second = chain.entries()
        assert again == first
    assert run_named(second.statement) == run_named(first.statement)
    for subject in subjects(second.statement):
        assert sha256_file(specks / (subject.path or "")) == subject.sha256
    told = json.loads((specks / "runs" / "small" / "ticket" / "statement.json").read_bytes())
    assert told == second.statement


def test_a_lost_step_that_comes_out_the_same_is_stated_once(specks: Path) -> None:
    experiment = ticketlab.plan(specks / "specs" / "small.yaml")
    ticketlab.run(experiment)
    (address,) = experiment.plan.arms()
    experiment.store.result(address.plan.final.train).path("weights.safetensors").unlink()
    assert not ticketlab.run(ticketlab.plan(specks / "specs" / "small.yaml")).failures
    (entry,) = Chain(specks / "ledger.jsonl").entries()

    stated = facts(entry.statement)
    made = {sha256_bytes(canonical_json(dict(step.outputs))) for step in stated.steps}
    read = [digest for step in stated.steps for digest in step.inputs.values()]
    assert len(read) >= 3
    assert set(read) <= made, "every step read what a step of this statement made"


def test_entries_that_cannot_be_read_stop_neither_recording_nor_verifying(
    specks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain(specks / "ledger.jsonl")
    for build_type in (BUILD_TYPE, "https://example.org/build"):
        definition = {"buildType": build_type, "externalParameters": {"cell": "small/dense"}}
        details = {"metadata": {"invocationId": "older"}}
        predicate = {"buildDefinition": definition, "runDetails": details}
        chain.append({"_type": STATEMENT, "subject": [], "predicateType": PROVENANCE, "predicate": predicate})
    assert not ticketlab.run(ticketlab.plan(specks / "specs" / "small.yaml")).failures
    assert len(list(chain.entries())) == 3
    monkeypatch.chdir(specks)
    done = CliRunner().invoke(app, ["verify", "--quick", "specs/small.yaml"])
    assert done.exit_code == 0, done.output


def test_what_was_removed_from_the_results_is_there_again(specks: Path) -> None:
    spec, runs = specks / "specs" / "small.yaml", specks / "runs" / "small"
    ticketlab.run(spec)
    before = {path.relative_to(runs): path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    for gone in ("ticket/statement.json", "results.md", "metrics.json", "ticket"):
        place = runs / gone
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        assert not is_done(open_experiment(spec))
        assert not ticketlab.run(spec).failures
        assert is_done(open_experiment(spec))
        assert {path.relative_to(runs): path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before
    assert len(list(Chain(specks / "ledger.jsonl").entries())) == 1
