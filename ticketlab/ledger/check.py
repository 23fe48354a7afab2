"""Reading a chain through: is every line in its place, and if not, which is the first that is not, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from ticketlab.errors import LedgerError
from ticketlab.ledger.entry import GENESIS, Entry, Line, read_line, torn

LATER = 10_000
"""Lines after a fault that are looked at to tell what kind of fault it is."""

REWRITTEN = "the line was rewritten, or one before it: its digest is not the one remembered when it was appended"

Wrong = Literal["altered", "removed", "moved", "duplicated", "inserted", "torn"]


@dataclass(frozen=True)
class Head:
    """How far a chain goes: the number of its entries, and the digest of the last."""

    entries: int = 0
    digest: str = GENESIS


@dataclass(frozen=True)
class Fault:
    """The first thing that is wrong: the line (from 1), what kind of wrong, and a sentence for people."""

    line: int
    wrong: Wrong
    what: str


@dataclass(frozen=True)
class ChainReport:
    """What a check found; `head` is how far the chain is sound, which is all of it if there is no fault."""

    head: Head
    fault: Fault | None = None

    @property
    def sound(self) -> bool:
        """Whether every line is in its place."""
        return self.fault is None


@dataclass(frozen=True)
class _Seen:
    """A line as the search for a fault sees it, its content left behind; `why` says how it is broken, if it is.

    `cut_short` says that no newline ends the line and no whole JSON value begins it.
    """

    number: int
    whole: bool
    cut_short: bool = False
    index: int = -1
    previous: str = ""
    digest: str = ""
    why: str = ""

    @property
    def broken(self) -> bool:
        return bool(self.why)


def examine(lines: Iterable[Line], remembered: Head | None) -> ChainReport:
    """Read the lines of a ledger and say whether they are one chain, reaching at least to the head that is remembered.

    Memory grows with the number of sound lines, not with their length; past a fault LATER lines are read and no more,
    so rubbish without end costs nothing.
    """
    heads = [Head()]
    known: dict[str, int] = {}
    stream = iter(lines)
    for line in stream:
        seen = _look(line)
        if seen.broken or not line.whole or (seen.index, seen.previous) != (heads[-1].entries, heads[-1].digest):
            fault = _fault(seen, heads, known, [_look(later) for later in islice(stream, LATER)], remembered)
            return ChainReport(heads[min(fault.line, len(heads)) - 1], fault)
        known[seen.digest] = line.number
        heads.append(Head(line.number, seen.digest))
        if remembered and remembered.entries == line.number and remembered.digest != seen.digest:
            return ChainReport(heads[-2], Fault(line.number, "altered", REWRITTEN))
    if remembered and remembered.entries >= len(heads):
        return ChainReport(heads[-1], _ends_early(len(heads) - 1, remembered))
    return ChainReport(heads[-1])


def _look(line: Line) -> _Seen:
    try:
        entry: Entry = read_line(line.content)
    except LedgerError as error:
        return _Seen(line.number, line.whole, not line.whole and torn(line.content), why=error.what)
    return _Seen(line.number, line.whole, False, entry.index, entry.previous, entry.digest)


def _fault(seen: _Seen, heads: list[Head], known: dict[str, int], later: list[_Seen], remembered: Head | None) -> Fault:
    """Name what is wrong with a line that does not follow the sound ones before it (`heads`), from what comes later."""
    number, expected = seen.number, heads[-1]
    follows = (seen.index, seen.previous) == (expected.entries, expected.digest)
    if not seen.whole and (follows or seen.cut_short):
        return _unfinished(seen, remembered)
    home = next((one for one in later if (one.index, one.previous) == (expected.entries, expected.digest)), None)
    if seen.broken:
        if home:
            return Fault(number, "inserted", f"{seen.why}, and the chain goes on without it at line {home.number}")
        return Fault(number, "altered", seen.why)
    again = known.get(seen.digest) or next((one.number for one in later if one.digest == seen.digest), None)
    if again:
        return Fault(number, "duplicated", f"entry {seen.index} is also at line {again}")
    if seen.index > expected.entries:
        if home:
            what = f"entry {seen.index} stands before entry {home.index}, which is at line {home.number}"
            return Fault(number, "moved", what)
        return Fault(number, "removed", f"entry {expected.entries} is missing before entry {seen.index}")
    return _impostor(seen, heads, later, home, remembered)


def _unfinished(seen: _Seen, remembered: Head | None) -> Fault:
    """Name what is wrong with a last line that lacks its end, or only its newline: a crash, unless it was whole once."""
    if remembered and remembered.entries >= seen.number and seen.broken:
        return Fault(seen.number, "altered", "the line was whole once and is cut short")
    if remembered and remembered.entries > seen.number:
        return _ends_early(seen.number, remembered)
    if remembered and remembered.entries == seen.number and remembered.digest != seen.digest:
        return Fault(seen.number, "altered", REWRITTEN)
    return Fault(seen.number, "torn", "the last line has no end: its writing was interrupted; the next append mends it")


def _ends_early(entries: int, remembered: Head) -> Fault:
    return Fault(entries + 1, "removed", f"the ledger ends after {entries} of {remembered.entries} entries")


def _impostor(seen: _Seen, heads: list[Head], later: list[_Seen], home: _Seen | None, remembered: Head | None) -> Fault:
    """Name the line at fault where an intact entry, no copy of another, claims a place that does not fit it."""
    number, expected = seen.number, heads[-1]
    has_heir = any(one.previous == seen.digest for one in later)
    if home:
        return Fault(number, "inserted", f"the chain goes on without it at line {home.number}")
    if seen.index < expected.entries:
        before = heads[seen.index]
        line = seen.index + 1 if has_heir and seen.previous == before.digest else number
        return Fault(line, "inserted", f"lines {seen.index + 1} and {number} both claim to be entry {seen.index}")
    is_not_ours = remembered is not None and remembered.entries == number and remembered.digest != seen.digest
    if number == 1 or is_not_ours or (later and not has_heir):
        return Fault(number, "altered", "the line was rewritten: it does not name the line before it")
    return Fault(number - 1, "altered", "the line was rewritten: the next one names another in its place")
