"""The rows of a step's curves, appended one by one; each (metric, step) once and in order, whatever is killed when."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ticketlab.files import sync_folder
from ticketlab.tracking.rows import line_of, row_of

Metrics = dict[str, float | None]

TOGETHER_SECONDS = 0.1
"""Rows that come within this time of a write wait, to be written in one with those that follow.

Between two steps of some milliseconds, with the caches full of the training, a row alone costs five times what it
costs among others. What a kill takes with it comes again from the checkpoint, since no checkpoint is written before
the rows it counts on.
"""


class _Line(NamedTuple):
    """A line of the file by the byte it begins at; one that is not what was written has no row."""

    start: int
    row: dict[str, Any] | None


class Journal:
    """An append-only file of rows {"t": unix milliseconds, "step": n, "metrics": {name: value}}, each with a checksum.

    An attempt that was killed leaves rows beyond the checkpoint that the next attempt goes on from. Randomness is
    keyed, so they come again with equal values: such a row stays as it is, with the time it was first seen. The first
    that is another one (rows are further apart, say) takes the place of all that the earlier attempt left. A torn last
    line, left by a kill inside a write, is cut off when the journal is opened.

    A row that comes within `TOGETHER_SECONDS` of a write waits for a later row, for `sync` or for `close`.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        is_new = not path.exists()
        self._handle = path.open("ab", buffering=0)
        self._handle.truncate(path.read_bytes().rfind(b"\n") + 1)
        self._left = deque(_whole_lines(path))
        self._waiting: list[dict[str, Any]] = []
        self._written = -math.inf
        self._latest: dict[str, int] = {}
        self._is_resumed = False
        self._unsynced = False
        if is_new:
            sync_folder(path.parent)

    def resume(self, step: int) -> None:
        """An attempt goes on after `step`: the rows up to there are settled, later ones will come again.

        An attempt that does not say so goes on where its first row is.
        """
        self._is_resumed = True
        settled = [number for number, (_, row) in enumerate(self._left, 1) if row is not None and row["step"] <= step]
        for _ in range(settled[-1] if settled else 0):
            row = self._left.popleft().row
            if row is not None:
                self._latest.update(dict.fromkeys(row["metrics"], row["step"]))

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add a row; values of metrics that have come as far as this step are left out."""
        if not self._is_resumed:
            self.resume(step - 1)
        fresh = {name: _spelled(value) for name, value in metrics.items() if step > self._latest.get(name, step - 1)}
        if not fresh:
            return
        if not self._comes_again(step, fresh):
            self.cut()
            self._waiting.append({"t": time.time_ns() // 1_000_000, "step": step, "metrics": fresh})
            if time.monotonic() - self._written >= TOGETHER_SECONDS:
                self._write()
        self._latest.update(dict.fromkeys(fresh, step))

    def _comes_again(self, step: int, metrics: Metrics) -> bool:
        """Whether the next row of the earlier attempt is this one; then it is settled."""
        row = self._left[0].row if self._left else None
        if row is None or (row["step"], row["metrics"]) != (step, metrics):
            return False
        self._left.popleft()
        return True

    def cut(self) -> None:
        """Remove what an earlier attempt left and did not come again."""
        if self._left:
            self._handle.truncate(self._left[0].start)
            self._left.clear()
            self._unsynced = True

    def _write(self) -> None:
        """Write the rows that wait, or raise `OSError` with the file as it was, and they wait on."""
        lines = b"".join(map(line_of, self._waiting))
        before, written = self._handle.seek(0, os.SEEK_END), 0
        try:
            while written < len(lines):
                written += self._handle.write(lines[written:])
        except OSError:
            self._handle.truncate(before)
            raise
        self._waiting.clear()
        self._written = time.monotonic()
        self._unsynced = True

    def sync(self) -> None:
        """From here on the rows there are would survive a power cut; to be called before a checkpoint counts on them."""
        if self._waiting:
            self._write()
        if self._unsynced:
            os.fsync(self._handle.fileno())
            self._unsynced = False

    def close(self) -> None:
        """No more rows from here; those there are would survive a power cut."""
        with self._handle:
            if self._waiting:
                self._write()
            os.fsync(self._handle.fileno())


def rows(path: Path) -> list[dict[str, float]]:
    """The whole rows of a journal in order, each {"step": n, name: value, ...}; none if there is no file.

    A line that a failing disk has spoilt is passed over, curves being no result; `spoilt` says which.
    """
    return [
        {"step": row["step"], **{k: math.nan if v is None else float(v) for k, v in row["metrics"].items()}}
        for _, row in (_whole_lines(path) if path.exists() else ())
        if row is not None
    ]


def spoilt(path: Path) -> list[int]:
    """The numbers, from 1, of the whole lines of a journal that are not what was written."""
    return [number for number, line in enumerate(_whole_lines(path), 1) if line.row is None]


def _whole_lines(path: Path) -> list[_Line]:
    lines, start = [], 0
    with path.open("rb") as handle:
        for line in handle:
            if line.endswith(b"\n"):
                lines.append(_Line(start, row_of(line)))
            start += len(line)
    return lines


def _spelled(value: float) -> float | None:
    """JSON has no name for what is not a number; null says that there was a value."""
    return float(value) if math.isfinite(value) else None
