"""What a step may touch while it is performed: its inputs, its folder, its outputs, its curves, the wish to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workplace:
    """A step's surroundings. `folder` survives a kill; `out` becomes the finished step; `home(dataset)` has data/."""

    home: Callable[[str], Path]
    inputs: Mapping[str, Path]
    folder: Path
    out: Path
    log: Callable[[int, Mapping[str, float]], None]
    stopping: Callable[[], bool]

    def input(self, role: str, name: str) -> Path | None:
        """A file of an input step, or None where the plan gave the step no such input."""
        folder = self.inputs.get(role)
        return None if folder is None else folder / name
