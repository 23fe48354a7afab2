"""Doing a recorded run again, from the recorded spec and data, and comparing the bits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ticketlab.errors import CorruptFile, Interrupted, TicketlabError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger import capture
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.diff import Difference, difference
from ticketlab.ledger.entry import Entry
from ticketlab.ledger.facts import Code, RunFacts, Surroundings, Verdict
from ticketlab.ledger.statement import facts, provenance, verification
from ticketlab.plan.experiment import ArmAddress
from ticketlab.run.compared import Compared, Finding, compared_files, compared_steps
from ticketlab.run.crew import Alone, Engage, Job
from ticketlab.run.edited_code import edited_files
from ticketlab.run.events import Listener, guarded
from ticketlab.run.experiment import fetch_data
from ticketlab.run.other_arithmetic import is_other_arithmetic
from ticketlab.run.project import Project
from ticketlab.run.published import ArmResult
from ticketlab.run.recorded_spec import recorded_plan
from ticketlab.run.store import Store

NO_CAUSE = ("cell", "arms", "name", "about")
"""Fields in which a run done again may differ from the recorded one without being another run."""

BEGIN_AGAIN = "the same command begins again"


@dataclass(frozen=True)
class Verification:
    """What verifying one run found: `files` looked at, `steps` and results of the work done again.

    `causes` are what differs between then and now, results aside; `problem` is why the work could not be done again,
    `unstated` why the ledger does not have what was found.
    """

    run: str
    cell: str
    files: Sequence[Compared]
    steps: Sequence[Compared] = ()
    causes: Sequence[Difference] = ()
    problem: str = ""
    unstated: str = ""

    @property
    def finding(self) -> Finding:
        """The worst finding of all."""
        found = {one.finding for one in (*self.files, *self.steps)}
        return "DIFFERS" if "DIFFERS" in found else "WITHIN BAND" if "WITHIN BAND" in found else "IDENTICAL"

    @property
    def first(self) -> Compared | None:
        """The first thing that is not identical."""
        return next((one for one in (*self.files, *self.steps) if one.finding != "IDENTICAL"), None)


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
    `engage` says. The result is appended to the ledger as an in-toto Test Result, if the ledger can be written; work that
    cannot be done again is a check that failed. LedgerError if the entry is not the record of a run, Interrupted when asked to stop.
    """
    recorded = facts(entry.statement)
    try:
        files = list(_until(stopping, compared_files(recorded, project.root)))
    except OSError as error:
        raise CorruptFile(
            f"a recorded file cannot be looked at: {error.strerror}", where=str(error.filename)
        ) from error
    found = Verification(recorded.run, recorded.cell, files)
    code = fresh = None
    if not quick:
        code = capture.code(project.root)
        try:
            found, fresh = _done_again(found, entry, code, project, listener, stopping, engage)
        except Interrupted as stopped:
            raise Interrupted(stopped.what, where=stopped.where, mend=BEGIN_AGAIN) from stopped
        except (TicketlabError, OSError) as error:
            failed = Compared(f"done again: {type(error).__name__}", "DIFFERS")
            found = replace(found, steps=[failed], problem=str(error))
    try:
        Chain(project.ledger).append(verification(_verdict(found, recorded, entry, code, fresh)))
    except (TicketlabError, OSError) as error:
        return replace(found, unstated=str(error))
    return found


def _until(stopping: Callable[[], bool], found: Iterator[Compared]) -> Iterator[Compared]:
    for one in found:
        if stopping():
            raise Interrupted("stopped while files were looked at", mend=BEGIN_AGAIN)
        yield one


def _scratch(project: Project) -> Path:
    folder = project.root / ".ticketlab" / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _done_again(
    found: Verification,
    entry: Entry,
    code: Code,
    project: Project,
    listener: Listener,
    stopping: Callable[[], bool],
    engage: Engage,
) -> tuple[Verification, RunFacts]:
    """What was found with what the work done again adds, and the facts of that work."""
    recorded = facts(entry.statement)
    with tempfile.TemporaryDirectory(dir=_scratch(project), prefix="verify-") as scratch:
        planned, address = recorded_plan(recorded, project)
        fetch_data(planned, project, guarded(listener))
        job = Job(planned, project, Store(Path(scratch)), listener, stopping)
        result, fresh = _performed(job, address, code, engage)
        causes = _causes(recorded, entry, fresh, address, project)
        elsewhere = is_other_arithmetic(causes)
        steps = list(compared_steps(recorded, fresh, result.files, project.root, Path(scratch), elsewhere))
    return replace(found, steps=steps, causes=causes), fresh


def _performed(job: Job, address: ArmAddress, code: Code, engage: Engage) -> tuple[ArmResult, RunFacts]:
    from ticketlab.run.publish import arm_result
    from ticketlab.run.statement import run_facts

    started = datetime.now(UTC)
    engage(job).arm(address)
    result = arm_result(address, job.store)
    return result, run_facts(job.plan, address, result, started, code, job.project, job.store)


def _causes(
    recorded: RunFacts, entry: Entry, fresh: RunFacts, address: ArmAddress, project: Project
) -> list[Difference]:
    """What differs beside results; of code that differs, the files too that the steps rest on."""
    found = difference(entry.statement, provenance(fresh))
    causes = [one for one in found if one.kind != "result" and one.path.partition(".")[0] not in NO_CAUSE]
    then, now = recorded.code, fresh.code
    if then.sources == now.sources and then.meaning != now.meaning:
        # Two runs may rest on other modules of the same code, the same run may not, those of other packages aside.
        causes.append(Difference("code", "meaning", then.meaning, now.meaning))
    modules = {module for step in address.plan.steps() for module in step.sources()}
    places = [number for number, one in enumerate(causes) if one.kind == "code"]
    after = places[-1] + 1 if places else 0
    return [*causes[:after], *edited_files(recorded.code, sorted(modules), project.root), *causes[after:]]


def _verdict(
    found: Verification, recorded: RunFacts, entry: Entry, code: Code | None, fresh: RunFacts | None
) -> Verdict:
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
        mode="files" if code is None else "redone",
        code=fresh.code if fresh else code,
        surroundings=_surroundings(fresh) if fresh else None,
        causes=tuple({"kind": one.kind, "path": one.path, "then": one.left, "now": one.right} for one in found.causes),
    )


def _surroundings(fresh: RunFacts) -> Surroundings:
    packages = sha256_bytes(canonical_json(fresh.packages))
    return Surroundings(fresh.device, fresh.determinism, fresh.machine, packages)
