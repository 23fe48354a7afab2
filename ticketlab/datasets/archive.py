"""Bytes out of files, gzip files and tar archives that may be wrong, never more of them than were expected."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ticketlab.errors import DataError

_BLOCK = 1 << 20
_SLACK = 1 << 24
_MOST_MEMBERS = 1000
_MOST_READS_PAST_END = 64
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, OverflowError, RecursionError)


def read_file(path: Path, limit: int) -> bytes:
    """The content of a plain file of at most `limit` bytes; DataError if it is absent or longer."""
    _check_length(path, limit)
    with path.open("rb") as handle:
        return handle.read(limit + 1)


def read_gzip(path: Path, limit: int) -> bytes:
    """The content of a gzip file that unpacks to at most `limit` bytes; DataError if it is absent, damaged or longer.

    No more than `limit` bytes and one are ever unpacked.
    """
    _check_length(path, limit + _BLOCK)
    try:
        with gzip.open(path) as handle:
            content = handle.read(limit + 1)
    except (EOFError, zlib.error, OSError) as problem:
        raise DataError(f"not a whole gzip file ({problem})", where=str(path), mend="download it again") from None
    if len(content) > limit:
        raise DataError(f"it unpacks to more than the {limit} bytes expected", where=str(path))
    return content


def read_members(path: Path, limits: Mapping[str, int]) -> dict[str, bytes]:
    """The named members of a .tar.gz, each of at most `limits[name]` bytes; nothing is written to disk.

    Members are known by their exact names and must be regular files; all others are passed over. DataError if the
    archive is damaged, unpacks to much more than the limits together, or lacks a name or has it twice.
    """
    total = sum(limits.values()) + _SLACK
    _check_length(path, total)
    found: dict[str, bytes] = {}
    try:
        with gzip.open(path) as unpacked:
            stream = _Capped(unpacked, total, str(path))
            with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
                for position, member in enumerate(archive):
                    if position >= _MOST_MEMBERS:
                        raise DataError(f"the archive has more than {_MOST_MEMBERS} members", where=str(path))
                    if member.name in limits:
                        content = _member_content(archive, member, limits[member.name], str(path))
                        if found.setdefault(member.name, content) is not content:
                            raise DataError(f"the archive has {member.name} twice", where=str(path))
            while stream.read(_BLOCK):
                pass
    except _DAMAGE as problem:
        raise DataError(f"not a whole .tar.gz archive ({problem})", where=str(path), mend="download it again") from None
    absent = sorted(limits.keys() - found.keys())
    if absent:
        raise DataError(f"the archive has no file {absent[0]}", where=str(path))
    return found


def _member_content(archive: tarfile.TarFile, member: tarfile.TarInfo, limit: int, where: str) -> bytes:
    """The bytes of a regular member of bounded length."""
    handle = archive.extractfile(member) if member.isreg() and not member.issparse() else None
    if handle is None:
        raise DataError(f"{member.name} is not a regular file in the archive", where=where)
    if member.size > limit:
        raise DataError(f"{member.name} has {member.size} bytes where at most {limit} are expected", where=where)
    content = handle.read(limit + 1)
    if len(content) != member.size:
        raise DataError(f"{member.name} is cut off", where=where, mend="download the archive again")
    return content


def _check_length(path: Path, limit: int) -> None:
    """DataError unless `path` is a file of at most `limit` bytes."""
    if not path.is_file():
        raise DataError("there is no such file", where=str(path))
    length = path.stat().st_size
    if length > limit:
        raise DataError(f"the file has {length} bytes where at most {limit} are expected", where=str(path))


class _Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...


class _Capped:
    """A stream that refuses to give more than a number of bytes, or to be read on and on past its end.

    To skip a member that claims more bytes than there are, tarfile would read the end once per block of the claim.
    """

    def __init__(self, inner: _Readable, limit: int, where: str) -> None:
        self.inner = inner
        self.left = limit
        self.where = where
        self.reads_past_end = 0

    def read(self, count: int) -> bytes:
        """At most `count` bytes, and one more than the limit at most, so that passing it is seen."""
        content = self.inner.read(min(count, self.left + 1))
        self.left -= len(content)
        self.reads_past_end += not content
        if self.reads_past_end > _MOST_READS_PAST_END:
            raise EOFError("it ends before its last member does")
        if self.left < 0:
            raise DataError("the archive unpacks to far more than the expected files", where=self.where)
        return content
