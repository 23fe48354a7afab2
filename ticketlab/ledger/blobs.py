"""Bytes that statements name by their digest, kept in `.ticketlab/blobs/<sha256>` of the project."""

from __future__ import annotations

from pathlib import Path

from ticketlab.errors import CorruptFile
from ticketlab.files import sha256_bytes, sha256_file, write_atomically
from ticketlab.ledger.facts import Blob


def keep(project: Path, content: bytes) -> str:
    """Keep bytes, unless they are kept already; their sha256."""
    digest = sha256_bytes(content)
    kept = _place(project, digest)
    if not kept.exists():
        write_atomically(kept, content)
    return digest


def kept(project: Path, blob: Blob) -> Path | None:
    """The file with the bytes of a blob, None if it is not here; CorruptFile if it holds others."""
    found = _place(project, blob.sha256)
    if not found.is_file():
        return None
    if sha256_file(found) != blob.sha256:
        raise CorruptFile("the patch is not the one that was recorded", where=str(found))
    return found


def content(project: Path, digest: str) -> bytes | None:
    """The bytes of that sha256, None if they are not here or are others by now."""
    try:
        found = _place(project, digest).read_bytes()
    except OSError:
        return None
    return found if sha256_bytes(found) == digest else None


def _place(project: Path, digest: str) -> Path:
    return project / ".ticketlab" / "blobs" / digest
