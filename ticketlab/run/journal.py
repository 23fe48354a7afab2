"""The rows of a training's curves, appended one by one; a row survives a kill and is never written twice."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ticketlab.files import sync_folder


class Journal:
    """An append-only file of rows {"t": unix milliseconds, "step": n, "metrics": {name: value}}.

    A resumed training repeats some steps; their rows are there already, with equal values, and keep the time they were
    first seen. A torn last line, left by a kill inside a write, is cut off when the journal is opened.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._seen = {(row["step"], name) for row in _repaired_rows(path) for name in row["metrics"]}
        is_new = not path.exists()
        self._handle = path.open("ab", buffering=0)
        if is_new:
            sync_folder(path.parent)

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add a row; values already there for this step are left out."""
        fresh = {name: float(value) for name, value in metrics.items() if (step, name) not in self._seen}
        if not fresh:
            return
        row = {"t": time.time_ns() // 1_000_000, "step": step, "metrics": {k: _spelled(v) for k, v in fresh.items()}}
        self._append(json.dumps(row).encode() + b"\n")
        self._seen.update((step, name) for name in fresh)

    def _append(self, line: bytes) -> None:
        """Write a line whole, or raise `OSError` with the file as it was."""
        before, written = self._handle.tell(), 0
        try:
            while written < len(line):
                written += self._handle.write(line[written:])
        except OSError:
            self._handle.truncate(before)
            raise

    def close(self) -> None:
        """No more rows from here; those there are would survive a power cut."""
        with self._handle:
            os.fsync(self._handle.fileno())


def rows(path: Path) -> list[dict[str, float]]:
    """The whole rows of a journal in order, each {"step": n, name: value, ...}; none if there is no file."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [
        {"step": row["step"], **{k: math.nan if v is None else float(v) for k, v in row["metrics"].items()}}
        for row in _readable(whole)
    ]


def _repaired_rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) != len(content):
        with path.open("r+b") as handle:
            handle.truncate(len(whole))
    return list(_readable(whole))


def _readable(content: bytes) -> Iterator[dict[str, Any]]:
    """The lines that are rows; one that a failing disk has spoilt is passed over, curves being no result."""
    for line in content.splitlines():
        try:
            row = json.loads(line)
            if isinstance(row["step"], int) and isinstance(row["metrics"], dict):
                yield row
        except (ValueError, LookupError, TypeError):
            continue


def _spelled(value: float) -> float | None:
    """JSON has no name for what is not a number; null says that there was a value."""
    return value if math.isfinite(value) else None
