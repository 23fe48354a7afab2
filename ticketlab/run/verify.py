"""Doing a recorded run again, from the recorded spec and data, and comparing the bits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from ticketlab.files import canonical_json, sha256_bytes, sha256_file
from ticketlab.ledger import capture
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.diff import STEPS, Difference, difference
from ticketlab.ledger.entry import Entry
from ticketlab.ledger.facts import RunFacts, StepFact, Verdict
from ticketlab.ledger.statement import facts, provenance, verification
from ticketlab.plan.experiment import ArmAddress
from ticketlab.run.crew import Alone, Engage, Job
from ticketlab.run.events import Listener
from ticketlab.run.project import Project
from ticketlab.run.recorded_spec import recorded_plan
from ticketlab.run.store import Store

BAND = 1e-2
"""Relative difference up to which a metric measured on another machine counts as the same."""

NO_CAUSE = ("cell", "arms", "name", "about")
"""Fields in which a run done again may differ from the recorded one without being another run."""

Finding = Literal["IDENTICAL", "WITHIN BAND", "DIFFERS"]


@dataclass(frozen=True)
class Compared:
    """One thing compared, and for one that differs the first output (or file) that does."""

    name: str
    finding: Finding
    where: str = ""


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
    `engage` says. The result is appended to the ledger as an in-toto Test Result. LedgerError if the entry is not the record of a run, or
    of one in another version of the language.
    """
    recorded = facts(entry.statement)
    files = list(_compared_files(recorded, project))
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


def _compared_files(recorded: RunFacts, project: Project) -> Iterator[Compared]:
    for subject in recorded.subjects:
        path = project.root / (subject.path or subject.name)
        if not path.is_file():
            yield Compared(f"file {subject.name}", "DIFFERS", f"{subject.path} is not there")
        elif sha256_file(path) != subject.sha256:
            yield Compared(f"file {subject.name}", "DIFFERS", f"{subject.path} is not the file that was recorded")
        else:
            yield Compared(f"file {subject.name}", "IDENTICAL")


def _done_again(
    recorded: RunFacts, entry: Entry, job: Job, address: ArmAddress, engage: Engage
) -> tuple[list[Compared], list[Difference]]:
    from ticketlab.run.publish import arm_result
    from ticketlab.run.statement import run_facts

    started = datetime.now(UTC)
    engage(job).arm(address)
    fresh = run_facts(
        job.plan,
        address,
        arm_result(address, job.store),
        started,
        capture.code(job.project.root),
        job.project,
        job.store,
    )
    now = provenance(fresh)
    causes = [one for one in difference(entry.statement, now) if one.kind != "result" and one.path not in NO_CAUSE]
    return list(_compared_steps(recorded, fresh, _elsewhere(causes))), causes


ARITHMETIC = frozenset(
    (
        "device",
        "torch",
        "threads",
        "interop_threads",
        "mkldnn",
        "flush_denormal",
        "cuda",
        "cudnn",
        "gpu",
        "cpu",
        "cpu_capability",
        "cores",
        "architecture",
        "packages.torch",
        "packages.numpy",
        "float32_matmul_precision",
    )
)
"""What the last bits of sums depend on beside spec, code and data."""


def _elsewhere(causes: Sequence[Difference]) -> bool:
    """Whether the arithmetic is another and nothing else that counts: only then are other bits to be expected.

    Statistics and extractor are made by steps, so they follow the arithmetic; a commit says nothing where the sources
    are the same.
    """
    same_sources = not any(one.kind == "code" and one.path == "sources" for one in causes)
    counting = [
        one
        for one in causes
        if not one.path.startswith(("statistics.", "extractor."))
        and not (one.kind == "code" and same_sources)
        and one.kind in ("spec", "code", "data")
    ]
    return not counting and any(_of_arithmetic(one) for one in causes)


def _of_arithmetic(cause: Difference) -> bool:
    """Whether the machine did sums otherwise: for the run as a whole, or for a step taken from another's store."""
    if cause.kind in ("environment", "machine") and cause.path.startswith(STEPS):
        return cause.path.rpartition(".")[2] in ARITHMETIC
    return cause.path in ARITHMETIC


def _compared_steps(recorded: RunFacts, fresh: RunFacts, elsewhere: bool) -> Iterator[Compared]:
    """Step by step in the order they were done.

    Steps that differ are within the band if the run was done elsewhere and what it measured in the end is.
    """
    close: Finding = "WITHIN BAND" if elsewhere and _within_band(recorded.metrics, fresh.metrics) else "DIFFERS"
    found = {subject.name: subject.sha256 for subject in fresh.subjects}
    for subject in recorded.subjects:
        same = found.get(subject.name) == subject.sha256
        yield Compared(f"result {subject.name}", "IDENTICAL" if same else close, "" if same else subject.name)
    for then, now in zip_longest(recorded.steps, fresh.steps):
        if then is None or now is None:
            yield Compared((then or now).name, "DIFFERS", "only then" if now is None else "only now")
            continue
        differing = _differing_output(then, now)
        yield Compared(now.name, close, differing) if differing else Compared(now.name, "IDENTICAL")


def _differing_output(then: StepFact, now: StepFact) -> str | None:
    names = sorted(then.outputs.keys() | now.outputs.keys())
    return next((name for name in names if then.outputs.get(name) != now.outputs.get(name)), None)


def _within_band(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    return then.keys() == now.keys() and all(
        abs(then[name] - now[name]) <= BAND * max(abs(then[name]), abs(now[name])) for name in then
    )


def _verdict(found: Verification, recorded: RunFacts, entry: Entry) -> Verdict:
    by_finding: dict[Finding, list[str]] = {"IDENTICAL": [], "WITHIN BAND": [], "DIFFERS": []}
    for one in (*found.files, *found.steps):
        by_finding[one.finding].append(one.name)
    return Verdict(
        run=found.run,
        statement=sha256_bytes(canonical_json(dict(entry.statement))),
        subjects=recorded.subjects,
        at=datetime.now(UTC),
        passed=tuple(by_finding["IDENTICAL"]),
        warned=tuple(by_finding["WITHIN BAND"]),
        failed=tuple(by_finding["DIFFERS"]),
    )
