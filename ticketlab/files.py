"""Files that are whole or absent: atomic writes, canonical JSON, digests."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_SCRATCH = ".part"


def canonical_json(value: Any) -> bytes:
    """The one JSON spelling of a value: sorted keys, no spaces, ASCII; NaN and infinity are refused (ValueError)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256_bytes(content: bytes) -> str:
    """Lower-case hexadecimal sha256 of `content`."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    """Lower-case hexadecimal sha256 of a file's content, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the names inside `folder` durable (rename alone may be lost with the power)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Write, fsync, rename, fsync the folder: after a crash the file is the old one or the new one, never half of it."""
    with _replacing(path) as handle:
        handle.write(content)


def copy_atomically(source: Path, path: Path) -> None:
    """As `write_atomically`, with the content of another file, of any size."""
    with source.open("rb") as original, _replacing(path) as handle:
        shutil.copyfileobj(original, handle)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when all of it is durable; nothing is left of a failed one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{owner()}-", suffix=_SCRATCH)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_abandoned(folder: Path) -> None:
    """Remove what atomic writes below `folder` left behind when their process was killed.

    That of live processes stays, and so does that of other machines on a shared file system, where nobody here can tell.
    """
    for scratch in folder.rglob(f".*{_SCRATCH}"):
        writer = re.search(rf"\.([A-Za-z0-9-]+\.\d+)-\w*{re.escape(_SCRATCH)}$", scratch.name)
        if writer and is_gone(writer[1]):
            scratch.unlink(missing_ok=True)


def owner() -> str:
    """The calling process as part of a file's name: host and number."""
    return f"{_host()}.{os.getpid()}"


def is_gone(named: str) -> bool:
    """Whether a process that `owner` named was of this machine and does not run any more."""
    host, _, number = named.rpartition(".")
    return host == _host() and number.isdecimal() and not _is_alive(int(number))


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:63] or "-"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """As `write_json`, with the sha256 of all the rest as "seal", so that `read_sealed` notices a single changed bit."""
    write_json(path, {**value, "seal": sha256_bytes(canonical_json(value))})


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote; ValueError if the file holds anything else, FileNotFoundError if there is none."""
    found = parse_json(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    seal = found.pop("seal", None)
    if seal != sha256_bytes(canonical_json(found)):
        raise ValueError("its content is not what was written")
    return found


def parse_json(content: bytes | str) -> Any:
    """The value that JSON from anywhere holds; ValueError if it is none, or is nested so deep that it cannot be written."""
    try:
        found = json.loads(content)
        json.dumps(found)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return found


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write indented, key-sorted JSON atomically, with a final newline."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    write_atomically(path, text.encode() + b"\n")


def write_listing(path: Path, value: Mapping[str, Any]) -> None:
    """As `write_json`, with the keys in the order given: for values whose order says which comes first."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False).encode() + b"\n")
