"""A layer of which nothing is left is never silent: the screen, the results, MLflow and the ledger name it and its round."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ticketlab.cli.screen import screen
from ticketlab.errors import Interrupted
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.listing import run_named
from ticketlab.ledger.statement import facts
from ticketlab.report.table import share
from ticketlab.run.events import Event, LayerCollapse
from ticketlab.run.experiment import open_experiment, run
from ticketlab.run.journal import rows
from ticketlab.run.published import ArmResult
from ticketlab.tickets.file import read as read_ticket
from ticketlab.tickets.mask import Mask
from ticketlab.tracking.outbox import Outbox, TrackedRun

MODEL = "{kind: mlp, hidden: [48, 40, 36, 32]}"
SPARSE = "{method: magnitude, schedule: {rounds: 6, density: 0.0005}, scope: global, round_steps: 0}"


def page(ticket: str, arms: str = "[ticket]") -> str:
    return f"""\
name: collapse
data: {{dataset: specks}}
model: {MODEL}
ticket: {ticket}
arms: {arms}
train: {{objective: cross_entropy, steps: 2, batch: 16}}
compute: {{device: cpu, threads: 1, log_every: 1}}
"""


def done(
    project: Path,
    events: list[Event],
    ticket: str = SPARSE,
    stopping: Callable[[], bool] = lambda: False,
    arms: str = "[ticket]",
    **options: bool,
) -> dict[str, ArmResult]:
    spec = project / "specs" / "collapse.yaml"
    spec.write_text(page(ticket, arms))
    outcome = run(open_experiment(spec), events.append, stopping=stopping, **options)
    assert not outcome.failures, outcome.failures
    return {result.name: result for result in outcome.results}


@dataclass
class Done:
    """A run whose ticket and controls lost layers."""

    project: Path
    events: list[Event]
    results: dict[str, ArmResult]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, new_specks: Callable[[Path], Path]) -> Done:
    """Looked at by several tests, and changed by none."""
    project, events = new_specks(tmp_path_factory.mktemp("collapse") / "project"), list[Event]()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        return Done(project, events, done(project, events, arms="[ticket, random, shuffled]"))


def dead_after(project: Path, rounds: int) -> set[str]:
    """The empty layers of the same drawing ended after a number of rounds, by its ticket alone.

    Round r of the exponential schedule keeps density^(r / 6), so the first r of six are r of their own.
    """
    spec = project / "specs" / f"first-{rounds}.yaml"
    density = 0.0005 ** (rounds / 6)
    ticket = SPARSE.replace("rounds: 6, density: 0.0005", f"rounds: {rounds}, density: {density!r}")
    spec.write_text(page(ticket).replace("name: collapse", f"name: first-{rounds}"))
    (result,) = run(open_experiment(spec)).results
    mask: Mask = read_ticket(result.files["ticket.safetensors"])[0]
    return {layer for layer, kept in mask.layer_kept().items() if not kept}


def test_every_death_is_told_once_with_its_round(ran: Done, specks: Path) -> None:
    told = [event for event in ran.events if isinstance(event, LayerCollapse)]
    assert all(event.cell == "ticket" for event in told)
    rounds = {layer: event.round for event in told for layer in event.layers}
    assert len(set(rounds.values())) > 1, "layers that die in several rounds"
    assert sum(len(event.layers) for event in told) == len(rounds)
    assert rounds == dict(ran.results["ticket"].collapsed)
    assert set(rounds.values()) <= {5, 6}
    assert dead_after(specks, 4) == set()
    assert dead_after(specks, 5) == {layer for layer, when in rounds.items() if when == 5}


def test_results_name_the_layers_and_have_the_density_of_each(ran: Done) -> None:
    results = ran.results
    text = (ran.project / "runs" / "collapse" / "results.md").read_text()
    for name, result in results.items():
        mask = read_ticket(result.files["ticket.safetensors"])[0]
        found = json.loads((ran.project / "runs" / "collapse" / name / "layers.json").read_text())
        assert list(found["layers"]) == list(mask.shapes())
        assert {layer: one["kept"] for layer, one in found["layers"].items()} == mask.layer_kept()
        assert {layer: one["density"] for layer, one in found["layers"].items()} == result.layer_densities
        assert found["collapsed"] == dict(result.collapsed)
        # A perceptron uses every weight once, and all of it is under the mask.
        assert result.multiply_adds == {"classifier": (mask.kept, mask.size)}
        assert f"{mask.kept:,} ({share(mask.kept / mask.size)})" in text
        assert set(result.collapsed) == {layer for layer, kept in mask.layer_kept().items() if not kept}
        assert f"- {name}: nothing is left of classifier." in text
    for layer, round in results["ticket"].collapsed.items():
        assert f"| {layer} | **0** | **0** | **0** |" in text
        assert f"round {round}" in text
        # A control with the same share of each layer has lost the same layers, in the rounds its ticket lost them.
        assert results["random"].collapsed[layer] == results["shuffled"].collapsed[layer] == round


def test_mlflow_and_the_ledger_are_told(ran: Done) -> None:
    results, project = ran.results, ran.project
    outbox = Outbox.of(project)
    runs: dict[str, TrackedRun] = {one.name: one for one in outbox.runs()}
    stated = {facts(one.statement).arm: one.statement for one in Chain(project / "ledger.jsonl").entries()}
    for name, result in results.items():
        assert all(layer in runs[name].tags["ticketlab.collapsed_layers"] for layer in result.collapsed)
        told = [row for journal in runs[name].journals for row in rows(project / journal.path)]
        costs = [row["multiply_adds_classifier"] for row in told if "multiply_adds_classifier" in row]
        assert costs == [result.multiply_adds["classifier"][0]]
        assert any(one.path.endswith(f"{name}/layers.json") for one in runs[name].artifacts)
        assert facts(stated[name]).collapsed == dict(result.collapsed)
        assert "layers.json" in {one.name for one in facts(stated[name]).subjects}
        assert run_named(stated[name])


def test_a_ticket_that_leaves_something_everywhere_has_no_warning_anywhere(specks: Path) -> None:
    events: list[Event] = []
    results = done(specks, events, "{method: magnitude, schedule: {rounds: 2, density: 0.5}, scope: layer}")
    assert not any(isinstance(event, LayerCollapse) for event in events)
    assert not any(result.collapsed for result in results.values())
    outbox = Outbox.of(specks)
    assert not any("ticketlab.collapsed_layers" in one.tags for one in outbox.runs())
    (entry, *_) = Chain(specks / "ledger.jsonl").entries()
    assert "collapsed" not in json.dumps(dict(entry.statement)["predicate"]["runDetails"]["byproducts"][0])
    assert "collapse" not in (specks / "runs" / "collapse" / "results.md").read_text().replace("# collapse", "")


def test_an_interruption_forgets_no_death(ran: Done, specks: Path) -> None:
    expected = dict(ran.results["ticket"].sha256)
    asked = 0

    def sometimes() -> bool:
        nonlocal asked
        asked += 1
        return asked % 3 == 0

    stops = 0
    for _ in range(30):
        try:
            again = done(specks, [], SPARSE, sometimes)
            break
        except Interrupted:
            stops += 1
    assert stops > 0
    assert dict(again["ticket"].sha256) == expected


def test_layers_that_died_before_a_training_keep_their_round_after_it(specks: Path) -> None:
    """Rounds with trainings between them are steps of their own; the second reads of the first what is dead."""
    iterative = "{method: magnitude, schedule: {rounds: 5, density: 0.0003}, scope: global, round_steps: 1}"
    events: list[Event] = []
    results = done(specks, events, iterative)
    told = {layer: one.round for one in events if isinstance(one, LayerCollapse) for layer in one.layers}
    assert len(set(told.values())) > 1, "layers that die in several rounds"
    assert dict(results["ticket"].collapsed) == told


@pytest.mark.parametrize("is_terminal", [False, True])
def test_the_screen_warns(is_terminal: bool, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    from rich.console import Console

    shown = io.StringIO()
    with screen("demo", Console(file=shown, force_terminal=is_terminal, width=200)) as listen:
        listen(LayerCollapse(3, ("classifier.1", "classifier.3"), "ticket"))
    text = shown.getvalue() if is_terminal else capsys.readouterr().out
    assert "layer collapse, nothing is left of classifier.1, classifier.3 (round 3)" in text
    assert is_terminal or "warning:" in text
