"""What must stay in the store: the steps that the ledger names, and those that published results rest on."""

from __future__ import annotations

import re
from pathlib import Path

from ticketlab.errors import CorruptFile, LedgerError
from ticketlab.files import read_sealed
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.entry import read_lines
from ticketlab.run.project import Project

_SHA256 = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def recorded(project: Project) -> set[str]:
    """Every sha256 that an entry of the ledger names: of steps, outputs, data, statistics, patches.

    LedgerError if the chain is not sound, since a damaged ledger cannot say what it names.
    """
    fault = Chain(project.ledger).check().fault
    if fault is not None and fault.wrong != "torn":
        raise LedgerError(
            f"{fault.what}; so it cannot be told what the ledger names",
            where=f"{project.ledger.name}, line {fault.line}",
            mend="restore it from a copy you trust, or clean with --also-recorded",
        )
    return {digest for line in read_lines(project.ledger) for digest in _digests(line.content)}


def published(project: Project) -> set[str]:
    """The steps that results under runs/ rest on: without them, `ticketlab run` would find something to do."""
    found: set[str] = set()
    for note in sorted((project.lab / "records").glob("*.closed.json")):
        found |= _closed(note, project)
    for statement in project.runs.rglob("statement.json"):
        found |= _digests(statement.read_bytes())
    return found


def _closed(note: Path, project: Project) -> set[str]:
    """The steps of a run that was closed, if its results are still there."""
    try:
        closing = read_sealed(note)
        there = (project.runs / closing["name"]).is_dir()
        return set(map(str, closing.get("steps", ()))) if there else set()
    except FileNotFoundError:
        return set()  # a run of that name has just begun, and claims its steps
    except (ValueError, TypeError, KeyError) as error:
        mend = "remove it; `ticketlab run` of that spec makes it again"
        raise CorruptFile("no closing note of a run can be read from it", where=str(note), mend=mend) from error


def _digests(content: bytes) -> set[str]:
    return {digest.decode() for digest in _SHA256.findall(content)}
