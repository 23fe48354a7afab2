"""An arm as MLflow should see it: parameters, curves, rounds as nested runs, small files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ticketlab.errors import CorruptFile
from ticketlab.files import sha256_bytes
from ticketlab.plan.cell import Trained
from ticketlab.plan.experiment import ArmAddress, Plan
from ticketlab.plan.steps import Draw
from ticketlab.run.project import Project
from ticketlab.run.published import run_id
from ticketlab.run.store import Store
from ticketlab.spec.identity import without_effect
from ticketlab.tracking.outbox import Artifact, Journal, Outbox, TrackedRun
from ticketlab.tracking.process import this_process

LONGEST_PARAMETER = 500


def key_of(project: Project, *parts: str | int) -> str:
    """The lasting name of a tracked run, of this project alone: several may share one MLflow server."""
    return sha256_bytes(json.dumps([project.identity(), *parts]).encode())


def parent_run(plan: Plan, experiment: str, project: Project, started: int) -> TrackedRun:
    """The run that holds the arms of a spec; the same plan after a crash is the same run."""
    return TrackedRun(
        key=_plan_key(plan, project),
        experiment=experiment,
        name=plan.name,
        tags={"ticketlab.kind": "experiment"},
        started=started,
        process=this_process(),
    )


def arm_runs(
    address: ArmAddress, parent: TrackedRun, project: Project, store: Store, summary: Path
) -> Iterator[TrackedRun]:
    """The arm's run under `parent`, then a run for each round of drawing under it; `summary` is the arm's own journal."""
    final = address.plan.final
    draws = [step for step in final.evaluate.lineage() if isinstance(step, Draw)]
    arm = TrackedRun(
        key=_arm_key(parent.name, address, project),
        experiment=parent.experiment,
        name=address.name,
        parent=parent.key,
        params=parameters(address.cell.spec.asks()),
        tags={"ticketlab.kind": "arm", "ticketlab.arm": address.plan.arm, "ticketlab.digest": address.digest},
        journals=(
            *_curves(final, project, store),
            Journal(_inside(summary, project)),
            # Draws without trainings between them have no runs of their own; their steps are rounds.
            *(Journal(_inside(store.journal(step), project), "draw_") for step in draws if not address.plan.rounds),
        ),
        started=parent.started,
        process=parent.process,
    )
    yield arm
    if address.plan.arm != "ticket":
        return
    for trained in address.plan.rounds:
        number = trained.round + 1
        drawn = [step for step in draws if step.round == number]
        yield replace(
            arm,
            key=_round_key(project, arm.key, number),
            name=f"{address.name}, round {number}",
            parent=arm.key,
            tags={"ticketlab.kind": "round", "ticketlab.round": str(number)},
            journals=(
                *_curves(trained, project, store),
                *(Journal(_inside(store.journal(step), project)) for step in drawn),
            ),
        )


def is_told(plan: Plan, address: ArmAddress, project: Project) -> bool:
    """Whether the outbox still has, undamaged, what it was told of an arm, and of the run that holds the arms."""
    outbox = Outbox.of(project.root)
    arm = _arm_key(plan.name, address, project)
    keys = [_plan_key(plan, project), arm]
    if address.plan.arm == "ticket":
        keys += [_round_key(project, arm, trained.round + 1) for trained in address.plan.rounds]
    try:
        return all(outbox.get(key) is not None for key in keys)
    except CorruptFile:
        return False


def _plan_key(plan: Plan, project: Project) -> str:
    return key_of(project, "plan", plan.name, *(run_id(address, project) for address in plan.arms()))


def _arm_key(name: str, address: ArmAddress, project: Project) -> str:
    return key_of(project, "arm", name, run_id(address, project))


def _round_key(project: Project, arm: str, number: int) -> str:
    return key_of(project, "round", arm, number)


def finished(
    run: TrackedRun, status: str, ended: int, tags: Mapping[str, str], files: Mapping[Path, str], project: Project
) -> TrackedRun:
    """The run at its end, with small files by the artifact folder they go to."""
    artifacts = tuple(Artifact(_inside(path, project), under) for path, under in files.items())
    return replace(run, status=status, ended=ended, tags={**run.tags, **tags}, artifacts=artifacts)  # type: ignore[arg-type]


def parameters(spec: Mapping[str, Any]) -> dict[str, str]:
    """The spec as flat parameters, "train.optimizer.lr": "0.0002"; long values are cut, the whole spec is an artifact."""
    flat: dict[str, str] = {}
    for name, value in _leaves("", spec):
        text = value if isinstance(value, str) else json.dumps(value)
        flat[name] = text if len(text) <= LONGEST_PARAMETER else text[:LONGEST_PARAMETER] + "..."
    return flat


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, part)
    elif path not in without_effect():
        yield path, value


def _curves(trained: Trained, project: Project, store: Store) -> tuple[Journal, ...]:
    return tuple(Journal(_inside(store.journal(step), project)) for step in trained.measured())


def _inside(path: Path, project: Project) -> str:
    return path.relative_to(project.root).as_posix()
