"""What the ledger says of a run and of its verification, as values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from ticketlab.errors import is_line

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_GIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_LARGEST = 2**1023

Result = Literal["PASSED", "WARNED", "FAILED"]
Mode = Literal["files", "redone"]


@dataclass(frozen=True)
class Artifact:
    """A file or folder by its content. `path` is where it lies, relative to the project; `md5` is DVC's name for it.

    `origin` says where one that the project does not keep comes from.

    ValueError if a digest is malformed or the path leads out of the project, TypeError if a text cannot be shown in a line.
    """

    name: str
    sha256: str
    md5: str | None = None
    path: str | None = None
    origin: str | None = None

    def __post_init__(self) -> None:
        _insist_on_text(self.name)
        _insist(self.name, "a sha256", _SHA256, self.sha256)
        if self.md5 is not None and not _MD5.fullmatch(self.md5):
            raise ValueError(f"{self.name}: not an md5: {self.md5!r}")
        if self.path is not None:
            pure = PurePosixPath(self.path)
            if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\\" in self.path or "\0" in self.path:
                raise ValueError(f"{self.name}: not a path inside the project: {self.path!r}")
        for text in (self.path or "", self.origin or ""):
            _insist_on_text(text)


@dataclass(frozen=True)
class Blob:
    """Bytes named by their digest; `kept` says that they lie in `.ticketlab/blobs/<sha256>`. `size` is in bytes.

    ValueError if the digest is malformed.
    """

    sha256: str
    size: int
    kept: bool

    def __post_init__(self) -> None:
        _insist("patch", "a sha256", _SHA256, self.sha256)


@dataclass(frozen=True)
class Code:
    """The source that ran. `sources` is the digest of the installed package's own files, known everywhere.

    `meaning` is the digest of what the modules say that the run's steps rest on, comments and layout left out; of packages
    that add models or methods, too. None in entries that were written before it was recorded.
    Inside git: the commit (None before the first one), the tree that a commit of the working state would have, and the
    patch from the commit to it. Outside git these three are None.

    ValueError if a digest is malformed: the commit becomes an argument of git.
    """

    sources: str
    commit: str | None = None
    tree: str | None = None
    patch: Blob | None = None
    meaning: str | None = None

    def __post_init__(self) -> None:
        _insist("sources", "a sha256", _SHA256, self.sources)
        for name, identifier in (("commit", self.commit), ("tree", self.tree)):
            if identifier is not None:
                _insist(name, "a git object", _GIT, identifier)
        if self.meaning is not None:
            _insist("meaning", "a sha256", _SHA256, self.meaning)


@dataclass(frozen=True)
class Surroundings:
    """What a step ran on. `packages` is the sha256 of the canonical JSON of all installed packages and their versions."""

    device: str
    determinism: Mapping[str, Any]
    machine: Mapping[str, Any]
    packages: str

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not isinstance(self.packages, str):
            raise TypeError(f"text was expected, not {self.device!r} and {self.packages!r}")
        if not isinstance(self.determinism, Mapping) or not isinstance(self.machine, Mapping):
            raise TypeError(f"mappings were expected, not {self.determinism!r} and {self.machine!r}")


@dataclass(frozen=True)
class StepFact:
    """One step of a run: the digest that identifies what was asked of it, the sha256 of each file it made, and on what.

    Steps of one run may have been done on several machines: those in the store are not done again. `inputs` has, by role,
    the sha256 of the canonical JSON of the outputs of the step that was read.
    """

    name: str
    identity: str
    outputs: Mapping[str, str]
    surroundings: Surroundings
    inputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _insist_on_texts(self.outputs)
        _insist_on_texts(self.inputs)
        for text in (self.name, self.identity):
            _insist_on_text(text)


@dataclass(frozen=True)
class RunFacts:
    """Everything one ledger statement says of one finished run. All mappings hold plain JSON values.

    `device`, `determinism`, `machine` and `packages` are those of the training that the run is about. `data` names a
    dataset by all of it that reaches a network, `splits` its files by their bytes.
    `density` is the share of prunable weights kept, in (0, 1], None for the dense network; `collapsed` has the layers of
    which none is kept, with the round in which each died (0: in training). Times know their zone.
    """

    run: str
    cell: str
    arm: str
    subjects: tuple[Artifact, ...]
    spec: Mapping[str, Any]
    device: str
    precision: str
    determinism: Mapping[str, Any]
    machine: Mapping[str, Any]
    code: Code
    packages: Mapping[str, str]
    started: datetime
    finished: datetime
    spec_file: Artifact | None = None
    data: tuple[Artifact, ...] = ()
    splits: tuple[Artifact, ...] = ()
    statistics: tuple[Artifact, ...] = ()
    extractors: tuple[Artifact, ...] = ()
    starts: tuple[Artifact, ...] = ()
    steps: tuple[StepFact, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    main_metric: str | None = None
    density: float | None = None
    collapsed: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for text in (self.run, self.cell, self.arm, self.device, self.precision, self.main_metric or ""):
            _insist_on_text(text)
        for mapping in (self.spec, self.determinism, self.machine, self.metrics):
            if not isinstance(mapping, Mapping):
                raise TypeError(f"a mapping was expected, not {mapping!r}")
        _insist_on_texts(self.packages)
        if not isinstance(self.collapsed, Mapping) or any(type(round) is not int for round in self.collapsed.values()):
            raise TypeError(f"rounds by layer were expected, not {self.collapsed!r}")
        for value in (*self.metrics.values(), 0 if self.density is None else self.density):
            if not isinstance(value, (int, float)):
                raise TypeError(f"a number was expected, not {value!r}")
            if isinstance(value, int) and abs(value) > _LARGEST:
                raise ValueError("a number is larger than any that can be measured")


@dataclass(frozen=True)
class Verdict:
    """What a verification of a run found: the names of the checks that passed, passed within tolerance, or failed.

    `statement` is the sha256 of the canonical JSON of the statement that was put to the test, `subjects` are its own.
    `mode` says whether only files were looked at or the work was done again; None in entries from before it was said.
    Of work done again, `code` is what did it, `surroundings` what it was done on (None where it failed), and `causes`
    are what differs from the recorded run beside results: kind, path, then, now, as plain JSON.
    """

    run: str
    statement: str
    subjects: tuple[Artifact, ...]
    at: datetime
    passed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    mode: Mode | None = None
    code: Code | None = None
    surroundings: Surroundings | None = None
    causes: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        _insist("statement", "a sha256", _SHA256, self.statement)
        for text in (self.run, *self.passed, *self.warned, *self.failed):
            _insist_on_text(text)

    @property
    def result(self) -> Result:
        """FAILED if any check failed, else WARNED if any was only within tolerance, else PASSED."""
        return "FAILED" if self.failed else "WARNED" if self.warned else "PASSED"


def _insist_on_text(text: Any) -> None:
    if not is_line(text):
        raise TypeError(f"text without control characters was expected, not {text!a}")


def _insist_on_texts(found: Any) -> None:
    if not isinstance(found, Mapping):
        raise TypeError(f"a mapping was expected, not {found!r}")
    for text in (*found.keys(), *found.values()):
        _insist_on_text(text)


def _insist(name: str, what: str, form: re.Pattern[str], spelling: str) -> None:
    if not form.fullmatch(spelling):
        raise ValueError(f"{name}: not {what}: {spelling!r}")
