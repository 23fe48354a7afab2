"""What the ledger says was asked of a run: as a spec, as a plan of it alone, and whether a spec file still asks it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from ticketlab.errors import LedgerError
from ticketlab.ledger.diff import asked_otherwise
from ticketlab.ledger.entry import Entry
from ticketlab.ledger.facts import RunFacts
from ticketlab.ledger.statement import facts
from ticketlab.plan.experiment import ArmAddress, Plan, plan_cell
from ticketlab.run.project import Project
from ticketlab.spec.compute import Compute
from ticketlab.spec.identity import identity
from ticketlab.spec.loading import Cell, LoadedSpec
from ticketlab.spec.spec import Spec

FIELDS_SHOWN = 4
"""How many fields of an edited spec are named."""


def recorded_plan(recorded: RunFacts, project: Project) -> tuple[Plan, ArmAddress]:
    """The plan of a recorded run, made from its statement alone, with as many threads as it ran on.

    LedgerError if the language of specs is not the one it was recorded in, or it names no number of threads.
    """
    spec = _recorded_spec(recorded)
    cell = plan_cell(Cell({}, "", spec), project.home, _threads(recorded))
    digest = recorded.spec_file.sha256 if recorded.spec_file else ""
    file = Path(recorded.spec_file.name if recorded.spec_file else spec.name)
    planned = Plan(spec.name, file, digest, (cell,))
    return planned, ArmAddress(cell, cell.arms[0])


def entries_of(loaded: LoadedSpec, latest: Mapping[str, Entry]) -> tuple[Sequence[Entry], Sequence[str]]:
    """Of every arm of a spec its entry among `latest` (by cell and arm), and the names of arms that have none there.

    LedgerError if no arm has one, or one was recorded of another spec than this: the file was edited since.
    """
    found: list[Entry] = []
    missing: list[str] = []
    for cell in loaded.cells:
        for arm in cell.spec.arms:
            name = "/".join(part for part in (loaded.spec.name, cell.name, arm.name) if part)
            if name not in latest:
                missing.append(name)
                continue
            entry = latest[name]
            edited = _edited(facts(entry.statement), cell.spec)
            if edited:
                raise LedgerError(
                    f"{name} is recorded of another spec than this one, which was edited since: {edited}",
                    where=str(loaded.file),
                    mend=f"ticketlab run {loaded.file} first, or verify what is recorded: ticketlab verify {entry.index}",
                )
            found.append(entry)
    if not found:
        raise LedgerError(f"no run of {loaded.file} is recorded", mend=f"ticketlab run {loaded.file}")
    return found, missing


def _edited(recorded: RunFacts, spec: Spec) -> str:
    """What in `spec` is not as it was recorded, the first fields by path; empty where nothing that counts is another."""
    try:
        before = _recorded_spec(recorded)
    except LedgerError:
        return "the language is another today"
    if identity(before) == identity(spec):
        return ""
    found = [
        f"`{one.path}` was {one.left!r} and is {one.right!r}"
        for one in asked_otherwise(before.counting(), spec.counting())
    ]
    return "; ".join([*found[:FIELDS_SHOWN], *(["..."] if len(found) > FIELDS_SHOWN else [])])


def _recorded_spec(recorded: RunFacts) -> Spec:
    """The spec of one arm. LedgerError if today's language refuses it."""
    arms = recorded.spec.get("arms", ())
    try:
        # An arm with values of its own is written out where it was recorded.
        written = [arm for arm in arms if recorded.arm in (arm, _kind_of(arm))] if isinstance(arms, list) else []
        asked = {**recorded.spec, "arms": written or [recorded.arm]}
        return Spec.model_validate_json(json.dumps(asked), strict=True)
    except ValidationError as refused:
        first = refused.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise LedgerError(
            f"the run was recorded in another version of the language; today's refuses `{where}`: {first['msg']}",
            mend="--code recorded",
        ) from refused


def _threads(recorded: RunFacts) -> int | None:
    try:
        return Compute.model_validate({"threads": recorded.determinism.get("threads")}, strict=True).threads
    except ValidationError as refused:
        raise LedgerError("the run was recorded on a number of threads that no run can have") from refused


def _kind_of(arm: object) -> object:
    return arm.get("kind") if isinstance(arm, Mapping) else None
