"""Where a project keeps things: data, runs, the store, the ledger."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ticketlab.errors import CorruptFile
from ticketlab.files import write_atomically

MARKS = ("dvc.yaml", ".dvc", ".git", ".ticketlab")


@dataclass(frozen=True)
class Project:
    """A folder with `data/`, `runs/`, `.ticketlab/` and `ledger.jsonl`; a smoke run keeps its own store and runs."""

    root: Path
    smoke: bool = False

    @classmethod
    def around(cls, place: Path) -> Project:
        """The project that `place` is in: the nearest folder above with dvc.yaml, .dvc, .git or .ticketlab; else `place`."""
        here = place.resolve()
        for folder in (here, *here.parents):
            if any((folder / mark).exists() for mark in MARKS):
                return cls(folder)
        return cls(here)

    @property
    def lab(self) -> Path:
        """State that is not for people: store, locks, journals, outbox."""
        return self.root / ".ticketlab" / "smoke" if self.smoke else self.root / ".ticketlab"

    def home(self, dataset: str) -> Path:
        """The folder whose `data/` has a dataset: the project, or the smoke run's own for its stand-ins."""
        stand_in = self.smoke and (self.lab / "data" / dataset).is_dir()
        return self.lab if stand_in else self.root

    @property
    def runs(self) -> Path:
        """Results by name."""
        return self.lab / "runs" if self.smoke else self.root / "runs"

    def identity(self) -> str:
        """A random name that the project keeps from its first run on."""
        path = self.root / ".ticketlab" / "project"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            from filelock import FileLock

            with FileLock(path.with_name("project.lock")):
                if not path.exists():
                    write_atomically(path, uuid4().hex.encode())
        identity = path.read_text(encoding="ascii", errors="replace")
        if not re.fullmatch(r"[0-9a-f]{32}", identity):
            mend = "restore it; without it, runs that MLflow has already would come there a second time"
            raise CorruptFile("this is not the name of a project", where=str(path), mend=mend)
        return identity

    @property
    def ledger(self) -> Path:
        """The hash chain of statements."""
        return self.root / "ledger.jsonl"
