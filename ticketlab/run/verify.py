"""Doing a recorded run again, from the recorded spec and data, and comparing the bits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger import capture
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.diff import Difference, difference
from ticketlab.ledger.entry import Entry
from ticketlab.ledger.facts import RunFacts, Verdict
from ticketlab.ledger.statement import facts, provenance, verification
from ticketlab.plan.experiment import ArmAddress
from ticketlab.run.compared import Compared, Finding, compared_files, compared_steps
from ticketlab.run.crew import Alone, Engage, Job
from ticketlab.run.events import Listener
from ticketlab.run.other_arithmetic import is_other_arithmetic
from ticketlab.run.project import Project
from ticketlab.run.recorded_spec import recorded_plan
from ticketlab.run.store import Store

NO_CAUSE = ("cell", "arms", "name", "about")
"""Fields in which a run done again may differ from the recorded one without being another run."""


@dataclass(frozen=True)
class Verification:
    """What verifying one run found. `causes` are what differs between then and now, results aside."""

    run: str
    cell: str
    files: Sequence[Compared]
    steps: Sequence[Compared]
    causes: Sequence[Difference]

    @property
    def finding(self) -> Finding:
        """The worst finding of all."""
        found = {one.finding for one in (*self.files, *self.steps)}
        return "DIFFERS" if "DIFFERS" in found else "WITHIN BAND" if "WITHIN BAND" in found else "IDENTICAL"


def verify(
    entry: Entry,
    project: Project,
    *,
    quick: bool = False,
    listener: Listener = lambda event: None,
    stopping: Callable[[], bool] = lambda: False,
    engage: Engage = Alone,
) -> Verification:
    """Check the files of a recorded run and (unless `quick`) have every step of it done again in a store of its own.

    Nothing is taken from the store: the work is done from the recorded spec, the data and the code at hand, by whom
    `engage` says. The result is appended to the ledger as an in-toto Test Result. LedgerError if the entry is not the
    record of a run, or of one in another version of the language.
    """
    recorded = facts(entry.statement)
    files = list(compared_files(recorded, project.root))
    steps: list[Compared] = []
    causes: list[Difference] = []
    if not quick:
        with tempfile.TemporaryDirectory(dir=_scratch(project), prefix="verify-") as scratch:
            planned, address = recorded_plan(recorded, project)
            job = Job(planned, project, Store(Path(scratch)), listener, stopping)
            steps, causes = _done_again(recorded, entry, job, address, engage)
    found = Verification(recorded.run, recorded.cell, files, steps, causes)
    Chain(project.ledger).append(verification(_verdict(found, recorded, entry)))
    return found


def _scratch(project: Project) -> Path:
    folder = project.root / ".ticketlab" / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _done_again(
    recorded: RunFacts, entry: Entry, job: Job, address: ArmAddress, engage: Engage
) -> tuple[list[Compared], list[Difference]]:
    from ticketlab.run.publish import arm_result
    from ticketlab.run.statement import run_facts

    started = datetime.now(UTC)
    engage(job).arm(address)
    result = arm_result(address, job.store)
    fresh = run_facts(
        job.plan,
        address,
        result,
        started,
        capture.code(job.project.root),
        job.project,
        job.store,
    )
    now = provenance(fresh)
    causes = [one for one in difference(entry.statement, now) if one.kind != "result" and one.path not in NO_CAUSE]
    elsewhere = is_other_arithmetic(causes)
    return list(compared_steps(recorded, fresh, result.files, job.project.root, elsewhere)), causes


def _verdict(found: Verification, recorded: RunFacts, entry: Entry) -> Verdict:
    by_finding: dict[Finding, list[str]] = {"IDENTICAL": [], "WITHIN BAND": [], "DIFFERS": []}
    for one in (*found.files, *found.steps):
        by_finding[one.finding].append(one.said)
    return Verdict(
        run=found.run,
        statement=sha256_bytes(canonical_json(dict(entry.statement))),
        subjects=recorded.subjects,
        at=datetime.now(UTC),
        passed=tuple(by_finding["IDENTICAL"]),
        warned=tuple(by_finding["WITHIN BAND"]),
        failed=tuple(by_finding["DIFFERS"]),
    )
