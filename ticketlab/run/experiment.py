"""Running a whole spec: every arm of every cell, from the store where it is there, published and recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ticketlab.datasets.expected import expected_manifest
from ticketlab.errors import Interrupted, TicketlabError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.plan.experiment import ArmAddress, Plan, plan
from ticketlab.plan.steps import Step
from ticketlab.run.claims import held
from ticketlab.run.crew import Alone, Crew, Engage, Job
from ticketlab.run.events import Listener, Notice, guarded
from ticketlab.run.missing import is_pulled_by_a_run, refuse_missing
from ticketlab.run.not_written import not_written
from ticketlab.run.project import Project
from ticketlab.run.published import ArmResult, begin_afresh, close, is_closed, is_published, reopen
from ticketlab.run.reading import load_spec
from ticketlab.run.store import Store
from ticketlab.run.tracked import is_told
from ticketlab.run.within import within
from ticketlab.spec.loading import LoadedSpec
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.tracking import dvc

LONGEST_SUFFIX = 60


@dataclass(frozen=True)
class Experiment:
    """A spec that was read and planned in a project."""

    loaded: LoadedSpec
    plan: Plan
    project: Project
    store: Store

    def job(self, listener: Listener, stopping: Callable[[], bool] = lambda: False) -> Job:
        """What a crew is asked to do."""
        return Job(self.plan, self.project, self.store, listener, stopping)

    def pending(self) -> list[tuple[ArmAddress, Step]]:
        """The steps that are not in the store yet, in the order they will be done."""
        return [(address, step) for address, step in self.plan.steps() if not self.store.has(step)]


def open_experiment(file: Path, overrides: Sequence[str] = (), *, to_smoke: bool = False) -> Experiment:
    """Read, check and plan a spec in the project it lies in, on the catalogue's word where a known dataset is not there.

    Results of a spec run with overrides go to a folder of their own, named after the overrides.
    """
    project = Project(Project.around(file.parent).root, to_smoke)
    loaded = load_spec(file, overrides, project)
    planned = plan(loaded, project.home, _run_name(loaded.spec.name, overrides), expected_manifest)
    return Experiment(loaded, planned, project, Store(project.lab))


def _run_name(name: str, overrides: Sequence[str]) -> str:
    suffix = "_".join(re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") for text in overrides)
    if len(suffix) > LONGEST_SUFFIX:
        suffix = sha256_bytes(canonical_json(list(overrides)))[:12]
    return f"{name}+{suffix}" if suffix else name


@dataclass(frozen=True)
class Failure:
    """An arm that could not be finished, and why."""

    name: str
    error: TicketlabError


@dataclass(frozen=True)
class Outcome:
    """What a run found: results by arm, failures, and the folder they lie in."""

    results: Sequence[ArmResult]
    failures: Sequence[Failure]
    folder: Path


def is_done(experiment: Experiment) -> bool:
    """Whether a run was closed and what it published is still there; quick, and torch-free."""
    plan, project, store = experiment.plan, experiment.project, experiment.store
    if not all(is_published(plan, address, project, store) for address in plan.arms()):
        return False
    return is_closed(plan, project) and (project.smoke or all(is_told(plan, one, project) for one in plan.arms()))


def run(
    experiment: Experiment,
    listener: Listener = lambda event: None,
    *,
    fresh: bool = False,
    stopping: Callable[[], bool] = lambda: False,
    engage: Engage = Alone,
) -> Outcome:
    """Do what is not done, publish and record it; an arm that fails does not stop the others.

    `fresh` forgets the results of this experiment's steps first, shared ones too, as soon as no other run rests on one
    of them; `engage` says who performs them. Raises `Interrupted` when asked to stop, `DataError` before the first step
    when images or files of weights are neither there nor to be had, and `EnvironmentProblem` when the project cannot be
    written.
    """
    listener = guarded(listener)
    experiment = fetched(experiment, listener)
    refuse_missing(experiment.project, experiment.plan.steps() if fresh else experiment.pending())
    afresh = (lambda: forget(experiment)) if fresh else None
    with held(experiment.plan, experiment.store, listener, stopping, afresh):
        tell_stand_ins(experiment, listener)
        return _run(experiment, listener, engage(experiment.job(listener, stopping)))


def _run(experiment: Experiment, listener: Listener, crew: Crew) -> Outcome:
    from ticketlab.run.publish import arm_result, publish_arm
    from ticketlab.run.record import Record

    plan, project, store = experiment.plan, experiment.project, experiment.store
    reopen(plan, project)
    record = None if project.smoke else Record(plan, experiment.loaded.spec.name, project, store, listener)
    results: list[ArmResult] = []
    failures: list[Failure] = []
    for address in plan.arms():
        begun = record is not None and not record.has(address)
        if record and begun:
            record.begin(address)
        try:
            crew.arm(address)
            results.append(arm_result(address, store))
            folder = publish_arm(plan, address, results[-1], project)
            # Asked only now: what was lost and is done again need not be what was recorded.
            if record and not record.has_these(address, results[-1]):
                begun = True
                record.finish(address, results[-1], folder)
            elif record:
                record.restate(address, results[-1], folder)
        except Interrupted:
            if record and begun:
                record.interrupt(address)
            raise
        except (TicketlabError, OSError) as error:
            # One that is done but could not be published or recorded is both a result and a failure.
            failure = not_written(error) if isinstance(error, OSError) else error
            failures.append(Failure(address.name, failure))
            if record and begun:
                record.fail(address, failure)
    folder = project.runs / plan.name
    failures += _overview(plan, results, project, store)
    versioned = record is None or record.close(folder, bool(failures), plan.name != experiment.loaded.spec.name)
    if versioned and not failures:
        close(plan, project)
    return Outcome(results, failures, folder)


def _overview(plan: Plan, results: Sequence[ArmResult], project: Project, store: Store) -> list[Failure]:
    """Publish what is about all arms, if there is any; what hindered it is one failure more, and hides no other."""
    from ticketlab.run.publish import publish_overview

    try:
        if results:
            publish_overview(plan, results, project, store)
    except OSError as error:
        return [Failure("what is about all arms", not_written(error))]
    return []


def prepare_statistics(
    experiment: Experiment,
    listener: Listener = lambda event: None,
    *,
    stopping: Callable[[], bool] = lambda: False,
    engage: Engage = Alone,
) -> Path:
    """Have only the steps done that reference statistics need, and publish these; the folder.

    Raises `Interrupted` when asked to stop; the same call goes on from there.
    """
    from ticketlab.run.publish import publish_statistics

    listener = guarded(listener)
    experiment = fetched(experiment, listener)
    folder = experiment.project.runs / experiment.plan.name
    with held(experiment.plan, experiment.store, listener, stopping):
        crew = engage(experiment.job(listener, stopping))
        for address, step in experiment.plan.steps():
            if step.kind == "statistics":
                crew.step(step, address)
        publish_statistics(experiment.plan, folder, experiment.store)
    return folder / "statistics"


def forget(experiment: Experiment) -> None:
    """Remove what the store holds of an experiment, and the notes that it was recorded (the ledger keeps its entries)."""
    for _, step in experiment.plan.steps():
        with experiment.store.working(step):
            experiment.store.discard(step)
    for address in experiment.plan.arms():
        begin_afresh(experiment.plan, address, experiment.project)


def fetched(experiment: Experiment, listener: Listener) -> Experiment:
    """The experiment planned on what `fetch_data` brought, of which more may be known now than the catalogue says."""
    before, project = experiment.plan, experiment.project
    if not fetch_data(before, project, listener):
        return experiment
    return replace(experiment, plan=plan(experiment.loaded, project.home, before.name, expected_manifest))


def fetch_data(plan: Plan, project: Project, listener: Listener) -> bool:
    """Pull datasets that are not there from the DVC remote, where the project has one; whether there were any."""
    wanted = sorted({cell.spec.data.dataset for cell in plan.cells})
    pulled = [name for name in wanted if is_pulled_by_a_run(name, project)]
    for name in pulled:
        listener(Notice(f"pulling data/{name} from the DVC remote"))
        dvc.pull(project.root, f"data/{name}")
    return bool(pulled)


def tell_stand_ins(experiment: Experiment, listener: Listener) -> None:
    """Say what noise a smoke run works on, so that nobody takes its numbers for results."""
    if not experiment.project.smoke:
        return
    from ticketlab.datasets.synthetic import PREFIX

    specs = [cell.spec for cell in experiment.plan.cells]
    used = {Path(file.file).name for spec in specs for file in within(spec, PinnedFile)}
    for name in sorted(used | {spec.data.dataset for spec in specs}):
        if name.startswith(PREFIX):
            listener(Notice(f"{name} stands in for what is not on this machine, in this smoke run only"))
