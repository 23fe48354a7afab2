"""The record of a run: MLflow by way of the outbox, the ledger, DVC. None of them can stop or change it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from ticketlab.errors import CorruptFile, TicketlabError, TrackingError
from ticketlab.files import sha256_file, write_json
from ticketlab.ledger import capture
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.entry import Entry
from ticketlab.ledger.facts import Code
from ticketlab.ledger.listing import run_and_cell
from ticketlab.ledger.statement import provenance, subjects
from ticketlab.plan.experiment import ArmAddress, Plan
from ticketlab.report.table import spelled
from ticketlab.run.events import Listener, Notice
from ticketlab.run.journal import Journal
from ticketlab.run.project import Project
from ticketlab.run.published import OVERVIEWS, STATEMENT, ArmResult, record_path, recorded_files, run_id
from ticketlab.run.statement import run_facts
from ticketlab.run.store import Store
from ticketlab.run.tracked import arm_runs, finished, is_told, parent_run
from ticketlab.tracking import dvc
from ticketlab.tracking.courier import Courier
from ticketlab.tracking.outbox import Outbox, TrackedRun
from ticketlab.tracking.pipeline import stages_of

COURIER_SECONDS = 60.0

LONGEST_TAG = 5000
"""Characters that MLflow takes of a tag; layers.json, an artifact, has the rest."""


def _now() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Record:
    """One run being recorded. `code` is captured when it begins: that is the code that runs."""

    plan: Plan
    experiment: str
    project: Project
    store: Store
    listener: Listener
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self._outbox = Outbox.of(self.project.root)
        self._told: set[str] = set()
        self._parent = self._resumed(parent_run(self.plan, self.experiment, self.project, _now()))
        self._put(self._parent)
        self._code: Code = capture.code(self.project.root)
        self._courier: Courier | None = None
        try:
            self._courier = Courier(self.project.root)
        except OSError as error:
            self._tell(f"MLflow: nothing is delivered meanwhile: {error}")

    def begin(self, address: ArmAddress) -> None:
        """An arm is being worked on: its curves go to MLflow as they grow."""
        self._put(*self._runs(address))

    def _put(self, *runs: TrackedRun) -> bool:
        """Put runs into the outbox; one that cannot be put is a notice, and MLflow hears of it when it is put again."""
        all_put = True
        for run in runs:
            try:
                self._outbox.put(run)
            except OSError as error:
                all_put = False
                self._tell(f"MLflow: the outbox cannot be written: {error.strerror or error}")
        return all_put

    def _tell(self, text: str) -> None:
        """Say something once."""
        if text not in self._told:
            self._told.add(text)
            self.listener(Notice(text))

    def _resumed(self, run: TrackedRun) -> TrackedRun:
        """The run as it began the first time, if a kill or a stop interrupted it."""
        try:
            earlier = self._outbox.get(run.key)
        except CorruptFile as damage:
            self._tell(f"{damage.where}: {damage.what}; it is written again")
            return run
        return replace(run, started=earlier.started) if earlier else run

    def has(self, address: ArmAddress) -> bool:
        """Whether an arm was recorded, with whatever files."""
        return self._files(address) is not None

    def has_these(self, address: ArmAddress, result: ArmResult) -> bool:
        """Whether an arm was recorded with these very files: what is done again may come out otherwise elsewhere."""
        return self._files(address) == dict(result.sha256)

    def _files(self, address: ArmAddress) -> dict[str, str] | None:
        told = is_told(self.plan, address, self.project)
        return recorded_files(self.plan, address, self.project) if told else None

    def finish(self, address: ArmAddress, result: ArmResult, folder: Path) -> None:
        """An arm is done: summary, files and status to MLflow, a statement to the ledger."""
        summary = Journal(self._summary(address))
        costs = {f"multiply_adds_{network}": float(kept) for network, (kept, _) in result.multiply_adds.items()}
        summary(address.plan.final.train.objective.steps, {"density": result.density, **costs})
        summary.close()
        arm, *rounds = self._runs(address)
        entry = self._stated(address, result)
        own = folder / result.name
        write_json(own / STATEMENT, dict(entry.statement))
        files = dict.fromkeys(sorted(own.glob("*.*")), "")
        if "ticket.safetensors" in result.files:
            files[folder / "tickets" / result.name / "ticket.safetensors"] = "ticket"
        files.update(dict.fromkeys(sorted((own / "samples").glob("*.png")), "samples"))
        tags = {
            "ticketlab.ledger": entry.digest,
            **({"ticketlab.collapsed_layers": spelled(result.collapsed)[:LONGEST_TAG]} if result.collapsed else {}),
            **{f"sha256.{name}": digest for name, digest in result.sha256.items()},
        }
        told = self._put(
            finished(arm, "FINISHED", _now(), tags, files, self.project),
            *(finished(run, "FINISHED", _now(), {}, {}, self.project) for run in rounds),
        )
        if told:
            note = {"ledger": entry.digest, "index": entry.index, "files": dict(result.sha256)}
            write_json(record_path(self.plan, address, self.project), note)

    def _stated(self, address: ArmAddress, result: ArmResult) -> Entry:
        """The arm's entry in the ledger; neither a kill after the append nor another process makes a second one."""
        chain = Chain(self.project.ledger)
        # The same work under another name is another result.
        mine = (run_id(address, self.project), f"{self.plan.name}/{address.name}")
        lock = record_path(self.plan, address, self.project).with_suffix(".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            for entry in chain.entries():
                if run_and_cell(entry.statement) == mine and _same_files(entry, result):
                    return entry
            found = run_facts(self.plan, address, result, self.started, self._code, self.project, self.store)
            return chain.append(provenance(found))

    def restate(self, address: ArmAddress, result: ArmResult, folder: Path) -> None:
        """Write the statement of an arm that was recorded again where it was removed: the ledger has it."""
        place = folder / result.name / STATEMENT
        if not place.is_file():
            write_json(place, dict(self._stated(address, result).statement))

    def fail(self, address: ArmAddress, error: TicketlabError) -> None:
        """An arm could not be finished."""
        said = {"ticketlab.error": error.what[:500]}
        self._put(*(finished(run, "FAILED", _now(), said, {}, self.project) for run in self._runs(address)))

    def interrupt(self, address: ArmAddress) -> None:
        """The user stopped the run inside this arm."""
        runs = (self._parent, *self._runs(address))
        self._put(*(finished(run, "KILLED", _now(), {}, {}, self.project) for run in runs))
        if self._courier:
            self._courier.finish(5.0)

    def close(self, folder: Path, failed: bool, overridden: bool) -> bool:
        """Everything is done: the last rows delivered, checkpoints versioned. False if DVC is still to be told."""
        status = "FAILED" if failed else "FINISHED"
        over_all = {folder / name: "" for name in OVERVIEWS if (folder / name).is_file()}
        self._put(finished(self._parent, status, _now(), {}, over_all, self.project))
        delivery = self._courier.finish(COURIER_SECONDS) if self._courier else None
        if delivery and delivery.problem:
            waiting = f"{delivery.pending} rows wait; they are delivered by the next run or `ticketlab reconcile`"
            self._tell(f"MLflow: {delivery.problem}; {waiting}")
        return not failed and version_outputs(self.plan, folder, overridden, self.project, self.listener)

    def _runs(self, address: ArmAddress) -> list[TrackedRun]:
        return list(arm_runs(address, self._parent, self.project, self.store, self._summary(address)))

    def _summary(self, address: ArmAddress) -> Path:
        return self.project.lab / "journals" / f"{self._parent.key[:16]}-{address.digest}.jsonl"


def _same_files(entry: Entry, result: ArmResult) -> bool:
    """Whether an entry states these very files; one from another machine, under the same run id, need not."""
    return {subject.name: subject.sha256 for subject in subjects(entry.statement)} == dict(result.sha256)


def version_outputs(plan: Plan, folder: Path, overridden: bool, project: Project, listener: Listener) -> bool:
    """Give the run's tickets and checkpoints to DVC: by the spec's stages in dvc.yaml, else by `dvc add`.

    False, with a notice, if that failed and is to be tried again.
    """
    if dvc.inside_stage():
        return True
    if not dvc.is_repository(project.root):
        listener(Notice("not a DVC repository, so checkpoints are not versioned (`dvc init` makes one)"))
        return True
    spec = plan.file.resolve()
    if not overridden and sha256_file(spec) != plan.text_sha256:
        listener(Notice(f"{spec.name} was edited while it ran; DVC is told nothing, run it again"))
        return False
    inside = spec.is_relative_to(project.root) and not overridden
    try:
        stages = stages_of(project.root, spec.relative_to(project.root).as_posix()) if inside else []
        if stages:
            dvc.commit(project.root, stages)
        else:
            parts = [folder / name for name in ("tickets", "statistics") if (folder / name).is_dir()]
            dvc.add(project.root, [part.relative_to(project.root).as_posix() for part in parts])
    except (TrackingError, OSError) as error:
        listener(Notice(f"DVC: {error}; the same command tries again"))
        return False
    return True
