"""The outbox: plain files that say what the tracking server should know; a run writes them and never waits."""

from __future__ import annotations

import fcntl
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from ticketlab.errors import CorruptFile
from ticketlab.files import read_sealed, write_sealed
from ticketlab.tracking.process import Process, is_alive

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

KEY = re.compile(r"[0-9a-f]{64}")
_MEND = "the next `ticketlab run` of its spec writes it again; or remove it"
_NAME = re.compile(r"[/\w.\- ]{1,250}", re.ASCII)


@dataclass(frozen=True)
class Journal:
    r"""An append-only file of metric rows, one JSON object a line: `{"t": ms, "step": int, "metrics": {name: number}}`.

    A line ends in the checksum that `ticketlab.tracking.rows` gives it. `path` is relative to the project; `prefix`
    is put before every name. Only lines that end in "\n" count. Steps of a metric never go back within a journal: a
    row that does is the replay of a resumed run and is not sent again.
    """

    path: str
    prefix: str = ""

    def __post_init__(self) -> None:
        _assert_inside(self.path)


@dataclass(frozen=True)
class Artifact:
    """A small file (`path`, relative to the project) to show in the run's artifact folder `under` ("" is the root)."""

    path: str
    under: str = ""

    def __post_init__(self) -> None:
        _assert_inside(self.path)
        if self.under:
            _assert_inside(self.under)


@dataclass(frozen=True)
class TrackedRun:
    """All that the tracking server should know of one run; put again whenever it changes.

    `key` (sha256, hexadecimal) names the run for ever: two runs that should be two rows in MLflow need two keys.
    `params` never change once delivered. `started` and `ended` are Unix milliseconds. `process` is the writer: when it
    is gone and the status is still RUNNING, the run was killed.
    """

    key: str
    experiment: str
    name: str
    parent: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    journals: tuple[Journal, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    status: Status = "RUNNING"
    started: int | None = None
    ended: int | None = None
    process: Process | None = None

    def __post_init__(self) -> None:
        for key in (self.key, *([self.parent] if self.parent else [])):
            assert KEY.fullmatch(key), f"{key!r} is no lower-case hexadecimal sha256"
        assert self.status in get_args(Status), self.status
        for name in (*self.params, *self.tags):
            assert is_name(name), f"{name!r} is no name that MLflow accepts"


def is_name(name: str) -> bool:
    """Whether MLflow takes it for a parameter, tag or metric: ASCII letters, digits, "_-. /", like a clean path."""
    return bool(_NAME.fullmatch(name)) and posixpath.normpath(name) == name and not name.startswith(("/", "."))


class Outbox:
    """A folder with one JSON file per run; every file is whole, whatever was killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, project: Path) -> Outbox:
        """The outbox of a project: `.ticketlab/outbox`."""
        return cls(project / ".ticketlab" / "outbox")

    def put(self, run: TrackedRun) -> None:
        """Write or replace the run's file, atomically and durably."""
        with self._writing():
            self._write(run)

    def get(self, key: str) -> TrackedRun | None:
        """The run of that key, or None; CorruptFile if its file is not what `put` wrote."""
        path = self.folder / f"{key}.json"
        try:
            return _read(read_sealed(path))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AssertionError, IsADirectoryError) as problem:
            raise CorruptFile(f"no run can be read from it: {problem}", where=str(path), mend=_MEND) from problem

    def runs(self) -> list[TrackedRun]:
        """All runs by key; CorruptFile as in `get`."""
        return [run for key in self._keys() if (run := self.get(key)) is not None]

    def readable(self) -> tuple[list[TrackedRun], list[CorruptFile]]:
        """All runs by key but those whose file is damaged, and what is wrong with these: one stops no other."""
        found, damaged = [], []
        for key in self._keys():
            try:
                run = self.get(key)
            except CorruptFile as damage:
                damaged.append(damage)
            else:
                found += [run] if run is not None else []
        return found, damaged

    def mark_killed(self) -> list[str]:
        """Give every RUNNING run whose process is gone the status KILLED; returns their keys."""
        killed = []
        with self._writing():
            for run in self.readable()[0]:
                if run.status == "RUNNING" and run.process is not None and not is_alive(run.process):
                    self._write(replace(run, status="KILLED"))
                    killed.append(run.key)
        return killed

    def _write(self, run: TrackedRun) -> None:
        write_sealed(self.folder / f"{run.key}.json", asdict(run))

    def _keys(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json") if KEY.fullmatch(path.stem))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the folder for a write, so that `mark_killed` cannot undo the `put` of a run that has just resumed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".writing").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _read(fields: dict[str, Any]) -> TrackedRun:
    fields["journals"] = tuple(Journal(**journal) for journal in fields["journals"])
    fields["artifacts"] = tuple(Artifact(**artifact) for artifact in fields["artifacts"])
    if fields["process"] is not None:
        fields["process"] = Process(**fields["process"])
    return TrackedRun(**fields)


def _assert_inside(path: str) -> None:
    """Paths are relative to the project, so that moving the project moves everything with it."""
    pure = PurePosixPath(path)
    inside = path and not pure.is_absolute() and ".." not in pure.parts
    assert inside, f"{path!r} is no path inside the project"
