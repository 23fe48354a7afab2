"""Reading metric journals: whole lines only, each (metric, step) once, in batches that end on a line."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ticketlab.tracking.outbox import Journal, is_name
from ticketlab.tracking.rows import row_of

MAX_BATCH = 1000
"""Values per request that every MLflow store accepts."""

_INT64 = 2**63


class Row(NamedTuple):
    """One value of one metric; `t` is when it was recorded, in Unix milliseconds."""

    name: str
    value: float
    t: int
    step: int


@dataclass
class Mark:
    """How far a journal has been read.

    `offset` bytes, whose last line has `last_length` bytes and the sha256 `last`; `steps` is the highest step per
    metric, `not_finite` how many values of it were inf or NaN, `lines` how many lines were read, `unreadable` how many
    of them were no rows or not what was written, `spoilt` the number of the first such line (0: none), `latest` the last
    time recorded (Unix ms).
    """

    offset: int = 0
    last_length: int = 0
    last: str = ""
    steps: dict[str, int] = field(default_factory=dict)
    not_finite: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    unreadable: int = 0
    spoilt: int = 0
    latest: int = 0

    def copy(self) -> Mark:
        """An independent mark at the same place."""
        return Mark(**{**vars(self), "steps": dict(self.steps), "not_finite": dict(self.not_finite)})


class Batch(NamedTuple):
    """Rows to send, and the mark to remember once they are accepted."""

    rows: list[Row]
    mark: Mark


def batches(path: Path, journal: Journal, mark: Mark) -> Iterator[Batch]:
    """What the journal file at `path` holds beyond the mark, MAX_BATCH rows at a time (more if a line is very wide).

    A missing file holds nothing. One that was cut or rewritten is read from its start again; what was already read of
    it is not given twice, because steps never go back.
    """
    try:
        handle = path.open("rb")
    except FileNotFoundError:
        return
    with handle:
        mark = _resume(handle, mark)
        rows: list[Row] = []
        sent = mark.offset
        for line in handle:
            if not line.endswith(b"\n"):
                break
            fresh = _read(line, journal.prefix, mark)
            rows += fresh
            if len(rows) + len(fresh) > MAX_BATCH:
                yield Batch(rows, mark.copy())
                rows, sent = [], mark.offset
        if mark.offset > sent:
            yield Batch(rows, mark)


def _resume(handle: BinaryIO, mark: Mark) -> Mark:
    """Put the file where the mark says and return a copy of it, or start again if the file is another one by now."""
    handle.seek(max(mark.offset - mark.last_length, 0))
    line = handle.read(mark.last_length)
    mark = mark.copy()
    if mark.offset and _digest(line) != mark.last:
        handle.seek(0)
        mark.offset, mark.last_length, mark.last = 0, 0, ""
        mark.lines, mark.unreadable, mark.spoilt = 0, 0, 0
    return mark


def _read(line: bytes, prefix: str, mark: Mark) -> list[Row]:
    """The new finite rows of one line; moves the mark behind it."""
    mark.offset, mark.last_length, mark.last = mark.offset + len(line), len(line), _digest(line)
    mark.lines += 1
    try:
        content: Any = row_of(line)
        t, step, metrics = content["t"], content["step"], content["metrics"]
        values = {prefix + name: _number(value) for name, value in metrics.items()}
        sound = _is_count(t) and t >= 0 and _is_count(step) and all(map(is_name, values))
    except (ValueError, TypeError, KeyError, AttributeError):
        sound = False
    if not sound:
        mark.unreadable += 1
        mark.spoilt = mark.spoilt or mark.lines
        return []
    mark.latest = max(mark.latest, t)
    rows = []
    for name, value in values.items():
        if step <= mark.steps.get(name, step - 1):
            continue
        mark.steps[name] = step
        if math.isfinite(value):
            rows.append(Row(name, value, t, step))
        else:
            mark.not_finite[name] = mark.not_finite.get(name, 0) + 1
    return rows


def _is_count(value: Any) -> bool:
    return type(value) is int and -_INT64 <= value < _INT64


def _number(value: Any) -> float:
    """The value as a float; null, which strict JSON has in place of NaN, is NaN."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return float(value) if abs(value) < 1e308 else math.inf


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
