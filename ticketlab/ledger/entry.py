"""One line of the ledger: a statement, its place, the digest of the line before it, and its own seal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ticketlab.errors import LedgerError
from ticketlab.files import canonical_json, sha256_bytes

GENESIS = "0" * 64
"""What the first entry names as the digest of the line before it."""

LONGEST_LINE = 8 * 2**20
"""Bytes an entry may have, without its newline; a longer line is never read into memory."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ENDS_CHANGED = ": a carriage return ends it, as where git or an editor turned the ends of lines into those of Windows"


@dataclass(frozen=True)
class Entry:
    """A statement in its place. `digest` is the sha256 of its line without the newline, which the next entry names."""

    index: int
    previous: str
    statement: Mapping[str, Any]
    digest: str


@dataclass(frozen=True)
class Line:
    """A line as it lies in the file: `number` counts from 1, `whole` says that a newline ends it."""

    number: int
    content: bytes
    whole: bool


def write_line(index: int, previous: str, statement: Mapping[str, Any]) -> bytes:
    """The canonical JSON of an entry, sealed, without a newline.

    The seal is the sha256 of the canonical JSON of the other three members. It tells an altered line from an altered
    neighbour, and guards the last line, which no other names. LedgerError if the line is too long.
    """
    body = {"index": index, "previous": previous, "statement": statement}
    line = canonical_json({**body, "seal": sha256_bytes(canonical_json(body))})
    if len(line) > LONGEST_LINE:
        raise LedgerError(f"a ledger entry of {len(line)} bytes is longer than the {LONGEST_LINE} allowed")
    return line


def read_line(line: bytes) -> Entry:
    """The entry a line holds (without its newline); LedgerError says why if it is not as `write_line` writes it."""
    if len(line) > LONGEST_LINE:
        raise LedgerError(f"the line is longer than {LONGEST_LINE} bytes")
    try:
        parsed = json.loads(line)
        respelt = canonical_json(parsed)
    except (ValueError, RecursionError) as error:
        raise LedgerError("the line is not JSON") from error
    if not isinstance(parsed, dict) or parsed.keys() != {"index", "previous", "seal", "statement"}:
        raise LedgerError("the line is not a ledger entry")
    if respelt != line:
        raise LedgerError("the line is not canonical JSON" + (_ENDS_CHANGED if line == respelt + b"\r" else ""))
    index, previous, statement = parsed["index"], parsed["previous"], parsed["statement"]
    if type(index) is not int or not isinstance(statement, dict):
        raise LedgerError("the line is not a ledger entry")
    if not isinstance(previous, str) or not _DIGEST.fullmatch(previous):
        raise LedgerError("the line is not a ledger entry")
    seal = sha256_bytes(canonical_json({"index": index, "previous": previous, "statement": statement}))
    if seal != parsed["seal"]:
        raise LedgerError("the line does not match its seal")
    return Entry(index, previous, statement, sha256_bytes(line))


def torn(fragment: bytes) -> bool:
    """Whether `fragment` can be an entry whose writing was cut short: no whole JSON value begins it."""
    try:
        json.JSONDecoder().raw_decode(fragment.decode("latin-1"))
    except (ValueError, RecursionError):
        return True
    return False


def open_ledger(path: Path) -> BinaryIO:
    """The file, to be read; LedgerError if it is a folder, or a pipe or device, which nobody may ever fill or end."""
    if not path.is_file():
        raise LedgerError("this is no file, so no ledger can be read from it", where=str(path), mend="remove it")
    return path.open("rb")


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file in order, nothing if there is none; of one that is too long only the beginning is kept.

    LedgerError if it is no file.
    """
    if not path.exists():
        return
    with open_ledger(path) as handle:
        number = 0
        while content := handle.readline(LONGEST_LINE + 2):
            number += 1
            end = content
            while len(end) == LONGEST_LINE + 2 and not end.endswith(b"\n"):
                end = handle.readline(LONGEST_LINE + 2)
            yield Line(number, content.removesuffix(b"\n"), end.endswith(b"\n"))
