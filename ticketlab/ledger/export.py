"""Handing the ledger to others: an in-toto bundle of statements, or one run as an RO-Crate."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ticketlab.errors import CorruptFile, EnvironmentProblem, LedgerError
from ticketlab.files import canonical_json, sha256_bytes, sha256_file, write_atomically, write_json
from ticketlab.ledger.blobs import kept
from ticketlab.ledger.crate import Part, crate
from ticketlab.ledger.entry import Entry
from ticketlab.ledger.facts import Artifact, RunFacts
from ticketlab.ledger.statement import facts

METADATA = "ro-crate-metadata.json"

_URI = re.compile(r"[a-z][a-z0-9+.-]*:(//)?[^/\s<>\"{}|\\^`][^\s<>\"{}|\\^`]*")
_HOW_TO_NAME_LICENCES = "e.g. https://spdx.org/licenses/CC-BY-4.0"


def intoto(entries: Iterable[Entry], sign: Callable[[bytes], Mapping[str, Any]] | None = None) -> Iterator[bytes]:
    """The lines, each with its newline, of an in-toto bundle (`*.intoto.jsonl`), one for each entry.

    With `sign` (statement bytes -> DSSE envelope) they are envelopes, without it bare statements. The bundle is not
    chained: that is the ledger's part.
    """
    for entry in entries:
        statement = canonical_json(entry.statement)
        yield (canonical_json(sign(statement)) if sign else statement) + b"\n"


def ro_crate(entry: Entry, project: Path, out: Path, licence: str = "") -> Path:
    """Write one run as a Workflow Run RO-Crate into the new or empty folder `out`; the path of its metadata file.

    Files that lie in the project go along if they are what the ledger says; those that are not there are only named.
    `licence` is the URI of the licence of what is in the crate, or "" to state that none was given.
    LedgerError if the entry is not a run or the licence no URI, CorruptFile if a file was changed since; EnvironmentProblem if `out` is
    not empty.
    """
    run = facts(entry.statement)
    if licence and not _URI.fullmatch(licence):
        raise LedgerError(f"a licence is named by its URI, not {licence!r}", mend=_HOW_TO_NAME_LICENCES)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise EnvironmentProblem("the folder for the crate is not empty", where=str(out), mend="name a new folder")
    found = _found(run, project)
    written = {name: _write(out, name, content) for name, content in _written(entry, run).items()}
    for part, source in found.items():
        (out / part.at).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, out / part.at)
        if sha256_file(out / part.at) != part.sha256:
            raise CorruptFile(f"{part.name} changed while it was copied", where=str(source))
    write_json(out / METADATA, crate(run, entry, written, tuple(found), licence))
    return out / METADATA


def _written(entry: Entry, run: RunFacts) -> dict[str, bytes]:
    return {"spec.json": canonical_json(run.spec) + b"\n", "statement.json": canonical_json(entry.statement) + b"\n"}


def _write(out: Path, name: str, content: bytes) -> Part:
    write_atomically(out / name, content)
    return Part(name, name, sha256_bytes(content))


def _found(run: RunFacts, project: Path) -> dict[Part, Path]:
    """Which of the run's files lie in the project, unchanged, and where; each has a folder of the crate to itself."""
    groups: dict[str, tuple[Artifact, ...]] = {
        "results": run.subjects,
        "inputs": (
            *run.data,
            *run.statistics,
            *run.extractors,
            *run.starts,
            *((run.spec_file,) if run.spec_file else ()),
        ),
    }
    found = {}
    for folder, artifacts in groups.items():
        for artifact in artifacts:
            source = _inside(project, artifact)
            if source is not None:
                at = PurePosixPath(folder, artifact.path or artifact.name).as_posix()
                found[Part(artifact.name, at, artifact.sha256)] = source
    patch = run.code.patch
    if patch and (source := kept(project, patch)):
        found[Part("patch", "code.patch", patch.sha256)] = source
    return found


def _inside(project: Path, artifact: Artifact) -> Path | None:
    """The file an artifact names, if there is one: never outside the project, never other bytes than were recorded."""
    if artifact.path is None or not (project / artifact.path).is_file():
        return None
    source = (project / artifact.path).resolve()
    if not source.is_relative_to(project.resolve()):
        raise LedgerError(f"{artifact.name} leads out of the project", where=artifact.path)
    if sha256_file(source) != artifact.sha256:
        raise CorruptFile(f"{artifact.name} is not the file that was recorded", where=artifact.path)
    return source
