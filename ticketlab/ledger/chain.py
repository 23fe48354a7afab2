"""The ledger file: entries appended one at a time under a lock, each naming the one before it by its digest."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from ticketlab.errors import EnvironmentProblem, LedgerError
from ticketlab.files import canonical_json, parse_json, sha256_bytes, sync_folder, write_atomically
from ticketlab.ledger.check import ChainReport, Head, examine
from ticketlab.ledger.entry import LONGEST_LINE, Entry, open_ledger, read_line, read_lines, torn, write_line

_BLOCK = 65_536
_PATIENCE = 600.0
_log = logging.getLogger(__name__)


class Chain:
    """The hash chain in the file `path`; what guards it lies beside it under `.ticketlab/`.

    `.ticketlab/<name>.head` remembers how far the chain goes on this machine, so that removed last entries are missed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lab = path.parent / ".ticketlab"
        self._lock = self._lab / "locks" / f"{path.name}.lock"
        self._head = self._lab / f"{path.name}.head"

    def append(self, statement: Mapping[str, Any]) -> Entry:
        """Add one statement (JSON values only) and make it durable before returning.

        What a crash left of an earlier append is mended first. LedgerError if the chain cannot be gone on from, or the
        entry is too long; EnvironmentProblem if it cannot be written, in which case the file is as it was.
        """
        with self._locked():
            last = self._mended_end()
            index, previous = (last.index + 1, last.digest) if last else (0, Head().digest)
            line = write_line(index, previous, statement)
            self._extend(line + b"\n")
            entry = read_line(line)
            self._remember(Head(index + 1, entry.digest))
        return entry

    def entries(self) -> Iterator[Entry]:
        """The entries in order; LedgerError at the first line that is not one. A torn last line is left out."""
        for line in read_lines(self.path):
            try:
                entry = read_line(line.content)
            except LedgerError as error:
                if not line.whole and torn(line.content):
                    return
                raise LedgerError(error.what, where=f"{self.path}:{line.number}", mend=_HOW_TO_CHECK) from error
            yield entry

    def check(self) -> ChainReport:
        """Read the whole chain and locate the first line that is altered, removed, moved, duplicated or inserted."""
        with self._locked() if os.access(self._lock.parent, os.W_OK) else nullcontext():
            return examine(read_lines(self.path), self._remembered())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = FileLock(self._lock, timeout=_PATIENCE)
        try:
            self._lock.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise LedgerError("another process holds the ledger and does not let go", where=str(self._lock)) from error
        except OSError as error:
            raise EnvironmentProblem(f"the ledger cannot be locked: {error.strerror}", where=str(self._lock)) from error
        try:
            yield
        finally:
            lock.release()

    def _mended_end(self) -> Entry | None:
        """The last entry, after a torn line behind it is mended; LedgerError if the chain does not reach it soundly."""
        if not self.path.exists():
            last, fragment = None, b""
        else:
            with open_ledger(self.path) as handle:
                line, fragment = _end(handle)
            last = self._read_end(line) if line is not None else None
        if fragment:
            last = self._mend(last, fragment)
        reached = Head(last.index + 1, last.digest) if last else Head()
        if self._remembered() != reached:
            self._insist()
        return last

    def _read_end(self, line: bytes) -> Entry:
        try:
            return read_line(line)
        except LedgerError as error:
            raise LedgerError(
                f"the last entry is broken: {error.what}", where=str(self.path), mend=_HOW_TO_CHECK
            ) from error

    def _mend(self, last: Entry | None, fragment: bytes) -> Entry | None:
        """Finish a last line that lacks only its newline; set one that was cut short aside; refuse anything else."""
        follows = Head(last.index + 1, last.digest) if last else Head()
        remembered = self._remembered()
        if not torn(fragment):
            entry = self._read_end(fragment)
            is_next = (entry.index, entry.previous) == (follows.entries, follows.digest)
            was_more = remembered and remembered.entries > follows.entries
            if not is_next or (was_more and remembered != Head(entry.index + 1, entry.digest)):
                self._insist()
            self._extend(b"\n")
            return entry
        if remembered and remembered.entries > follows.entries:
            self._insist()
        try:
            write_atomically(self._lab / "torn" / sha256_bytes(fragment), fragment)
            os.truncate(self.path, self.path.stat().st_size - len(fragment))
        except OSError as error:
            raise EnvironmentProblem(f"the ledger cannot be mended: {error.strerror}", where=str(self.path)) from error
        _log.warning("%s: an entry whose writing was interrupted (%d bytes) was set aside", self.path, len(fragment))
        return last

    def _insist(self) -> None:
        """LedgerError unless the whole chain is sound."""
        fault = examine(read_lines(self.path), self._remembered()).fault
        if fault:
            what = f"{fault.wrong}: {fault.what}"
            raise LedgerError(what, where=f"{self.path}:{fault.line}", mend=_HOW_TO_GO_ON.format(self._head))

    def _extend(self, content: bytes) -> None:
        is_new = not self.path.exists()
        try:
            with self.path.open("ab", buffering=0) as handle:
                before = handle.tell()
                try:
                    if is_new:
                        sync_folder(self.path.parent)
                    written = 0
                    while written < len(content):
                        written += handle.write(content[written:])
                    os.fsync(handle.fileno())
                except OSError:
                    handle.truncate(before)
                    raise
        except OSError as error:
            raise EnvironmentProblem(f"the ledger cannot be written: {error.strerror}", where=str(self.path)) from error

    def _remember(self, head: Head) -> None:
        """Note how far the chain goes; where that fails the entry stands, and the next append looks closer."""
        try:
            write_atomically(self._head, canonical_json({"digest": head.digest, "entries": head.entries}) + b"\n")
        except OSError as error:
            _log.warning("%s: the head of the ledger could not be noted: %s", self._head, error.strerror)

    def _remembered(self) -> Head | None:
        if not self._head.exists():
            return None
        try:
            found = parse_json(self._head.read_bytes())
            return Head(int(found["entries"]), str(found["digest"]))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            mend = "remove it: what it remembered, that last lines were not removed, nobody can tell any more"
            raise LedgerError("this is not the head of a ledger", where=str(self._head), mend=mend) from error


def _end(handle: BinaryIO) -> tuple[bytes | None, bytes]:
    """The last line that a newline ends (None if there is none), and what comes after it; reads a bounded end only."""
    start, end = handle.seek(0, os.SEEK_END), b""
    while start > 0 and end.count(b"\n") < 2 and len(end) <= 2 * LONGEST_LINE:
        step = min(start, _BLOCK)
        start -= step
        handle.seek(start)
        end = handle.read(step) + end
    lines, newline, fragment = end.rpartition(b"\n")
    return (lines.rpartition(b"\n")[2] if newline else None), fragment


_HOW_TO_CHECK = "`ticketlab ledger check` locates what is wrong; restore the ledger from a copy you trust"
_HOW_TO_GO_ON = (
    "restore the ledger from a copy you trust; or, if it was meant to be shorter (another branch, say), remove {}, "
    "which remembers how far it went"
)
