"""Where a project keeps things: data, runs, the store, the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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

    @property
    def runs(self) -> Path:
        """Results by name."""
        return self.lab / "runs" if self.smoke else self.root / "runs"

    @property
    def ledger(self) -> Path:
        """The hash chain of statements."""
        return self.root / "ledger.jsonl"
