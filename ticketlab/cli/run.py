"""`ticketlab run`, `plan`, `validate`, `statistics`: a spec done, shown, checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ticketlab.cli.arguments import CrewName, Device, Json, Set, SpecFile, SpecFiles, overrides

if TYPE_CHECKING:
    from ticketlab.run.crew import Engage
    from ticketlab.run.experiment import Experiment


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("run")(run)
    app.command("plan")(plan)
    app.command("validate")(validate)
    app.command("statistics")(statistics)


def run(
    specs: SpecFiles,
    changes: Set = None,
    device: Device = None,
    smoke: Annotated[
        bool,
        typer.Option(
            "--smoke",
            help="Every step, training for two steps on 64 images and measuring on the whole split, in a store of its own.",
        ),
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the store holds of these specs first.")] = False,
    crew: CrewName = "alone",
) -> None:
    """Do what the specs ask and is not done yet; show it, record it."""
    from ticketlab.run.crew import crew_named
    from ticketlab.run.experiment import is_done, open_experiment

    failed, engage = False, crew_named(crew)
    for file in specs:
        experiment = open_experiment(file, overrides(changes, device), to_smoke=smoke)
        if not fresh and is_done(experiment):
            folder = experiment.project.runs / experiment.plan.name
            print(f"{file}: nothing to do; results in {_shown(folder)}")
            continue
        failed = not _run(experiment, fresh, engage) or failed
    if failed:
        raise typer.Exit(3)


def _run(experiment: Experiment, fresh: bool, engage: Engage) -> bool:
    from rich.console import Console

    from ticketlab.cli.screen import screen, show_outcome
    from ticketlab.run.experiment import run as run_experiment
    from ticketlab.run.stopping import clean_stop

    console = Console()
    with clean_stop() as stopping, screen(experiment.plan.name, console) as listener:
        outcome = run_experiment(experiment, listener, fresh=fresh, stopping=stopping, engage=engage)
    show_outcome(experiment.plan.name, outcome, console)
    if outcome.folder.is_dir():
        print(f"results, samples and curves: {_shown(outcome.folder)}")
    if not experiment.project.smoke:
        print("compare runs: ticketlab ui        what was recorded: ticketlab ledger list")
    return not outcome.failures


def plan(spec: SpecFile, changes: Set = None, device: Device = None, as_json: Json = False) -> None:
    """Show the steps of a spec: digests, what is there already, size, cost, and an estimate of time."""
    from ticketlab.run.estimate import estimate
    from ticketlab.run.experiment import open_experiment

    experiment = open_experiment(spec, overrides(changes, device))
    found = estimate(experiment)
    if as_json:
        print(json.dumps(found.as_json(), indent=2))
        return
    from ticketlab.cli.screen import show_plan

    show_plan(found)


def validate(specs: SpecFiles, changes: Set = None, as_json: Json = False) -> None:
    """Check specs without running anything; exit code 2 and one screen where something is wrong."""
    from ticketlab.run.reading import load_spec

    for file in specs:
        loaded = load_spec(file, overrides(changes))
        arms = sum(len(cell.spec.arms) for cell in loaded.cells)
        if as_json:
            print(json.dumps([cell.spec.asks() for cell in loaded.cells]))
        else:
            print(f"{file}: valid; {len(loaded.cells)} cell{'s' * (len(loaded.cells) != 1)}, {arms} arms")


def statistics(spec: SpecFile, changes: Set = None, device: Device = None, crew: CrewName = "alone") -> None:
    """Make only the reference statistics that a spec's metrics need."""
    from rich.console import Console

    from ticketlab.cli.screen import screen
    from ticketlab.run.crew import crew_named
    from ticketlab.run.experiment import open_experiment, prepare_statistics
    from ticketlab.run.stopping import clean_stop

    engage = crew_named(crew)
    experiment = open_experiment(spec, overrides(changes, device))
    with clean_stop() as stopping, screen(experiment.plan.name, Console()) as listener:
        folder = prepare_statistics(experiment, listener, stopping=stopping, engage=engage)
    print(f"statistics: {_shown(folder)}")


def _shown(folder: object) -> str:
    from pathlib import Path

    assert isinstance(folder, Path)
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
