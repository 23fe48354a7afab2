"""The content-addressed store: a finished step is a folder named by its digest, whole or absent, never changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from filelock import FileLock, Timeout

from ticketlab.errors import CorruptFile
from ticketlab.files import canonical_json, owner, read_sealed, sha256_bytes, sha256_file, sync_folder, write_sealed
from ticketlab.plan.steps import Step

RECORD = "step.json"

REMOVED = ".removed-"
"""What stands between the name of a folder that is being removed and the process that removes it."""

PATIENCE = 1.0
"""Seconds between two looks at whether another process is done with a step."""


@dataclass(frozen=True)
class Result:
    """The outputs of a finished step: a folder, the sha256 of each file in it, what it was made from and ran on.

    `inputs` has, by role, the `content` that each input had when the step was done.
    """

    folder: Path
    files: Mapping[str, str]
    surroundings: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """sha256 over the names and sha256 of all files: what a step that reads them is tied to."""
        return sha256_bytes(canonical_json(dict(self.files)))

    def path(self, name: str) -> Path:
        """One output file."""
        return self.folder / name


class Store:
    """Finished steps under `root`/store, unfinished ones under `root`/work, locks and journals beside them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checked: set[str] = set()

    def folder(self, step: Step) -> Path:
        """Where the outputs of a step are, or will be."""
        return self.root / "store" / step.kind / step.digest

    def journal(self, step: Step) -> Path:
        """The curves of a step; outside the step's outputs, because rows carry times."""
        return self.root / "journals" / f"{step.digest}.jsonl"

    def holds(self, step: Step) -> bool:
        """Whether there is a result of a step, sound or not."""
        return (self.folder(step) / RECORD).is_file()

    def has(self, step: Step) -> bool:
        """Whether a step is finished, and was made from what its inputs are now (their files are not looked at)."""
        if not self.holds(step):
            return False
        try:
            self.result(step, check=False)
        except CorruptFile:
            return False
        return True

    def result(self, step: Step, *, check: bool = True) -> Result:
        """The outputs of a finished step; with `check`, every file is compared with its recorded sha256 (once a process).

        Raises `CorruptFile` when a file is missing or not what was written, and when an input has been done again since
        and came out otherwise: then this is the result of something else. An input that was cleaned away says nothing.
        """
        found = self._recorded(step)
        for role, needed in step.inputs.items():
            if not self.holds(needed):
                continue
            try:
                now = self._recorded(needed).content
            except CorruptFile:
                continue
            if found.inputs.get(role) != now:
                raise CorruptFile(f"it was made from another result of its input `{role}`", where=str(found.folder))
        if check and step.digest not in self._checked:
            for name, digest in found.files.items():
                path = found.path(name)
                if not path.is_file() or sha256_file(path) != digest:
                    raise CorruptFile("an output of a finished step was changed or lost", where=str(path))
            self._checked.add(step.digest)
        return found

    def _recorded(self, step: Step) -> Result:
        """What the record of a finished step says; CorruptFile if it cannot be read."""
        folder = self.folder(step)
        try:
            record = read_sealed(folder / RECORD)
            if record["digest"] != step.digest:
                raise ValueError("it is the record of another step")
            return Result(folder, record["outputs"], record["surroundings"], record["inputs"])
        except (OSError, ValueError, KeyError) as error:
            raise CorruptFile("the record of a finished step cannot be read", where=str(folder / RECORD)) from error

    def discard(self, step: Step) -> None:
        """Forget a step: its outputs, its unfinished work and its curves."""
        self._checked.discard(step.digest)
        for folder in (self.folder(step), self._work(step)):
            _remove(folder)
        self.journal(step).unlink(missing_ok=True)

    @contextmanager
    def working(self, step: Step, wait: Callable[[bool], None] = lambda first: None) -> Iterator[Path]:
        """The folder of unfinished work on a step, held by this process alone; what is in it survives a kill.

        It goes when the step is finished. While another process holds it, `wait(first)` is called about once a second;
        it may raise to give up.
        """
        with self.alone(step.digest, wait):
            work = self._work(step)
            work.mkdir(parents=True, exist_ok=True)
            yield work
            if self.has(step):
                shutil.rmtree(work, ignore_errors=True)

    @contextmanager
    def alone(self, name: str, wait: Callable[[bool], None] = lambda first: None) -> Iterator[None]:
        """Hold the lock of that name, which one process has at a time; `wait` as in `working`."""
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{name}.lock")
        first = True
        while not lock.is_locked:
            try:
                lock.acquire(timeout=PATIENCE)
            except Timeout:
                wait(first)
                first = False
        try:
            yield
        finally:
            lock.release()

    def finish(
        self,
        step: Step,
        outputs: Path,
        surroundings: Mapping[str, Any] = MappingProxyType({}),
        inputs: Mapping[str, str] = MappingProxyType({}),
    ) -> Result:
        """Turn a folder of outputs into the finished step: fsync everything, then one rename.

        `surroundings` (device, machine, packages) and the `content` of each input by its role, as the step read it, are
        noted beside the outputs' sha256.
        """
        for leftover in outputs.glob(".*.part"):
            # A kill inside an atomic write leaves its scratch file, which is no output.
            leftover.unlink()
        files = {path.name: sha256_file(path) for path in sorted(outputs.iterdir()) if path.name != RECORD}
        for name in files:
            with (outputs / name).open("rb") as handle:
                os.fsync(handle.fileno())
        write_sealed(
            outputs / RECORD,
            {
                "kind": step.kind,
                "digest": step.digest,
                "asks": _plain(step),
                "inputs": dict(inputs),
                "outputs": files,
                "surroundings": dict(surroundings),
            },
        )
        target = self.folder(step)
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(target)
        outputs.replace(target)
        sync_folder(target.parent)
        self._checked.add(step.digest)
        return Result(target, files, surroundings, inputs)

    def _work(self, step: Step) -> Path:
        return self.root / "work" / step.digest


def _remove(folder: Path) -> None:
    """Remove a step, if it is there: whole, or what somebody put in its place."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(set_aside(folder))
    else:
        folder.unlink(missing_ok=True)


def set_aside(folder: Path) -> Path:
    """Rename a folder that is to be removed, and return its new place: half of it must not look like a finished step."""
    doomed = folder.with_name(f"{folder.name}{REMOVED}{owner()}")
    if doomed.exists():
        shutil.rmtree(doomed)
    folder.replace(doomed)
    # Durable before the first of its files goes, or the power could bring the old name back.
    sync_folder(folder.parent)
    return doomed


def _plain(step: Step) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(canonical_json(step.asks()))
    return plain
