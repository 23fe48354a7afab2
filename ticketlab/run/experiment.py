"""Running a whole spec: every arm of every cell, from the store where it is there, published and recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ticketlab.datasets.pins import PINS
from ticketlab.errors import Interrupted, SpecError, TicketlabError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.plan.experiment import ArmAddress, Plan, plan
from ticketlab.plan.steps import Step
from ticketlab.run.events import Listener, Notice
from ticketlab.run.project import Project
from ticketlab.run.published import ArmResult, begin_afresh, close, is_closed, is_published, record_path, reopen
from ticketlab.run.store import Store
from ticketlab.spec.catalog import DatasetFacts, facts
from ticketlab.spec.explain import Impossible
from ticketlab.spec.loading import LoadedSpec, load
from ticketlab.spec.resolve import resolve
from ticketlab.spec.smoke import smoke
from ticketlab.spec.spec import Spec
from ticketlab.tracking import dvc

LONGEST_SUFFIX = 60


@dataclass(frozen=True)
class Experiment:
    """A spec that was read and planned in a project."""

    loaded: LoadedSpec
    plan: Plan
    project: Project
    store: Store

    def pending(self) -> list[tuple[ArmAddress, Step]]:
        """The steps that are not in the store yet, in the order they will be done."""
        return [(address, step) for address, step in self.plan.steps() if not self.store.has(step)]


def load_spec(file: Path, overrides: Sequence[str] = (), project: Project | None = None) -> LoadedSpec:
    """Read and check a spec, every null resolved; torch-free unless `project` is one for smoke runs, which are tiny.

    `overrides` are "path=value" texts. Raises `SpecError` with file, line and column.
    """
    within = project or Project.around(file.parent)

    def resolved(spec: Spec) -> Spec:
        try:
            dataset = facts(spec.data.dataset, within.root)
        except SpecError as unknown:
            raise Impossible(("data", "dataset"), unknown.what, unknown.mend) from None
        found = resolve(spec, dataset)
        return _at_smoke_size(found, dataset, within) if within.smoke else found

    return load(file, overrides, resolve=resolved)


def open_experiment(file: Path, overrides: Sequence[str] = (), *, to_smoke: bool = False) -> Experiment:
    """Read, check and plan a spec in the project it lies in.

    Results of a spec run with overrides go to a folder of their own, named after the overrides.
    """
    project = Project(Project.around(file.parent).root, to_smoke)
    loaded = load_spec(file, overrides, project)
    planned = plan(loaded, project.home, _run_name(loaded.spec.name, overrides))
    return Experiment(loaded, planned, project, Store(project.lab))


def _at_smoke_size(spec: Spec, dataset: DatasetFacts, project: Project) -> Spec:
    """The spec made tiny, on noise in the dataset's shape where the dataset is not at hand."""
    tiny = smoke(spec, dataset.classes)
    if _at_hand(dataset.name, project.root):
        return tiny
    from ticketlab.datasets.synthetic import stand_in

    return tiny.model_copy(update={"data": tiny.data.model_copy(update={"dataset": stand_in(dataset, project.lab)})})


def _at_hand(dataset: str, root: Path) -> bool:
    """Whether a pack is there, or in the DVC remote that this project's pins come from."""
    pins = root / PINS
    pinned = pins.is_file() and dataset in json.loads(pins.read_bytes())
    return (root / "data" / dataset / "dataset.json").is_file() or pinned


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
    """What a run found: results by arm, failures, the folder they lie in, and whether all of it was there already."""

    results: Sequence[ArmResult]
    failures: Sequence[Failure]
    folder: Path
    nothing_to_do: bool = False


def is_done(experiment: Experiment) -> bool:
    """Whether a run was closed and what it published is still there; quick, and torch-free."""
    plan, project, store = experiment.plan, experiment.project, experiment.store
    published = all(is_published(plan, address, project, store) for address in plan.arms())
    return published and is_closed(plan, project)


def run(
    experiment: Experiment,
    listener: Listener = lambda event: None,
    *,
    fresh: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Do what is not done, publish and record it; an arm that fails does not stop the others.

    `fresh` forgets the results of this experiment's steps first, shared ones too. Raises `Interrupted` when asked to
    stop, and `DataError` when the dataset is neither there nor to be had from DVC.
    """
    from ticketlab.run.publish import arm_result, publish_arm, publish_overview
    from ticketlab.run.record import Record

    plan, project, store = experiment.plan, experiment.project, experiment.store
    if fresh:
        forget(experiment)
    fetch_data(experiment, listener)
    reopen(plan, project)
    record = None if project.smoke else Record(plan, experiment.loaded.spec.name, project, store, listener)
    results: list[ArmResult] = []
    failures: list[Failure] = []
    perform = _Performing(experiment, listener, stopping)
    for address in plan.arms():
        recorded = record is None or record_path(address, project).is_file()
        if record and not recorded:
            record.begin(address)
        try:
            perform.arm(address)
        except Interrupted:
            if record and not recorded:
                record.interrupt(address)
            raise
        except TicketlabError as error:
            failures.append(Failure(address.name, error))
            if record and not recorded:
                record.fail(address, error)
            continue
        results.append(arm_result(address, store))
        folder = publish_arm(plan, address, results[-1], project)
        if record and not recorded:
            record.finish(address, results[-1], folder)
    folder = project.runs / plan.name
    publish_overview(plan, results, project, store)
    if record:
        record.close(folder, bool(failures), plan.name != experiment.loaded.spec.name)
    if not failures:
        close(plan, project)
    return Outcome(results, failures, folder)


class _Performing:
    """Performs the steps of arms, counting those that were not in the store when it began."""

    def __init__(self, experiment: Experiment, listener: Listener, stopping: Callable[[], bool]) -> None:
        from ticketlab.run.execute import Executor

        self._executor = Executor(experiment.project.home, experiment.store, listener, stopping)
        pending = experiment.pending()
        self._total = len(pending)
        self._position = {step.digest: number for number, (_, step) in enumerate(pending, 1)}
        self._failed: dict[str, TicketlabError] = {}

    def arm(self, address: ArmAddress) -> None:
        """Every step of an arm; one that failed for an earlier arm is not tried again."""
        for step in address.plan.steps():
            if step.digest in self._failed:
                raise self._failed[step.digest]
            try:
                self._executor.ensure(step, address.name, self._position.get(step.digest, 0), self._total)
            except Interrupted:
                raise
            except TicketlabError as error:
                self._failed[step.digest] = error
                raise


def prepare_statistics(experiment: Experiment, listener: Listener = lambda event: None) -> Path:
    """Perform only the steps that reference statistics need, and publish these; the folder."""
    from ticketlab.run.execute import Executor
    from ticketlab.run.publish import publish_statistics

    fetch_data(experiment, listener)
    executor = Executor(experiment.project.home, experiment.store, listener, lambda: False)
    for address, step in experiment.plan.steps():
        if step.kind == "statistics":
            for needed in step.lineage():
                executor.ensure(needed, address.name)
    folder = experiment.project.runs / experiment.plan.name
    publish_statistics(experiment.plan, folder, experiment.store)
    return folder / "statistics"


def forget(experiment: Experiment) -> None:
    """Remove what the store holds of an experiment, and the notes that it was recorded (the ledger keeps its entries)."""
    for _, step in experiment.plan.steps():
        with experiment.store.working(step):
            experiment.store.discard(step)
    for address in experiment.plan.arms():
        begin_afresh(address, experiment.project)


def fetch_data(experiment: Experiment, listener: Listener) -> None:
    """Pull datasets that are not there from the DVC remote, where the project has one."""
    root = experiment.project.root
    for name in sorted({cell.spec.data.dataset for cell in experiment.plan.cells}):
        here = (experiment.project.home(name) / "data" / name / "dataset.json").is_file()
        if not here and _at_hand(name, root) and (root / "data.dvc").is_file() and not dvc.inside_stage():
            listener(Notice(f"pulling data/{name} from the DVC remote"))
            dvc.pull(root, f"data/{name}")
