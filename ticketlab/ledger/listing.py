"""Asking the ledger: an entry in one line, and an entry by what a person remembers of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ticketlab.errors import LedgerError, is_line
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.entry import Entry
from ticketlab.ledger.facts import Mode, Result
from ticketlab.ledger.statement import BUILD_TYPE, PROVENANCE, facts, verdict

_DIGEST_PREFIX = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class EntrySummary:
    """An entry for listings. A run has arm, density and main metric (name, value); a verification its result and mode.

    "other" is what somebody else stated, and what this version cannot read; of the latter run and cell, if it has them.
    """

    index: int
    kind: Literal["run", "verification", "other"]
    digest: str
    at: datetime | None = None
    run: str = ""
    cell: str = ""
    arm: str = ""
    density: float | None = None
    metric: tuple[str, float] | None = None
    result: Result | None = None
    mode: Mode | None = None


def summary(entry: Entry) -> EntrySummary:
    """An entry in short; `digest` is the first 12 digits. There is none that it cannot tell of."""
    try:
        return _told(entry)
    except LedgerError:
        run, cell = run_and_cell(entry.statement) or ("", "")
        return EntrySummary(entry.index, "other", entry.digest[:12], run=run, cell=cell)


def _told(entry: Entry) -> EntrySummary:
    short = entry.digest[:12]
    if entry.statement.get("predicateType") == PROVENANCE:
        run = facts(entry.statement)
        name = run.main_metric
        metric = (name, run.metrics[name]) if name is not None and name in run.metrics else None
        return EntrySummary(entry.index, "run", short, run.finished, run.run, run.cell, run.arm, run.density, metric)
    found = verdict(entry.statement)
    return EntrySummary(entry.index, "verification", short, found.at, found.run, result=found.result, mode=found.mode)


def find(chain: Chain, text: str) -> Entry:
    """The one entry with this index, else of the run with this id, else whose digest begins so (4 digits or more).

    A verification is found by index and digest only. LedgerError if there is no such entry, or more than one.
    """
    by_run, by_digest = [], []
    for entry in chain.entries():
        if text.isdecimal() and text.isascii() and str(entry.index) == text:
            return entry
        if run_named(entry.statement) == text:
            by_run.append(entry)
        if _DIGEST_PREFIX.fullmatch(text) and entry.digest.startswith(text):
            by_digest.append(entry)
    found = by_run or by_digest
    if len(found) == 1:
        return found[0]
    where = str(chain.path)
    if found:
        listed = ", ".join(f"{entry.index} ({entry.digest[:12]})" for entry in found[:10])
        raise LedgerError(f"{text!r} is ambiguous: entries {listed}", where=where, mend="name one by its index")
    mend = "`ticketlab ledger list` shows index, run and digest of every entry"
    raise LedgerError(f"no entry {text!r}", where=where, mend=mend)


def run_named(statement: Mapping[str, Any]) -> str | None:
    """The id of the run that a statement describes; None for a verification or a foreign statement."""
    named = run_and_cell(statement)
    return named[0] if named else None


def run_and_cell(statement: Mapping[str, Any]) -> tuple[str, str] | None:
    """Id and cell of the run that a statement describes, whatever else it says; None as in `run_named`.

    Other builders' provenance may stand in the ledger, and that of older versions: it stops nobody who looks for theirs.
    """
    if statement.get("predicateType") != PROVENANCE:
        return None
    match statement.get("predicate"):
        case {
            "buildDefinition": {"buildType": build_type, "externalParameters": {"cell": str(cell)}},
            "runDetails": {"metadata": {"invocationId": str(run)}},
        } if build_type == BUILD_TYPE and is_line(run) and is_line(cell):
            return run, cell
    return None
