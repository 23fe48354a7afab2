"""What a step may touch while it is performed: its inputs, its folder, its outputs, its curves, the wish to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workplace:
    """A step's surroundings. `folder` survives a kill; `out` becomes the finished step; `home(dataset)` has data/.

    A performer that goes on from where an earlier attempt was killed calls `going_on` with the step up to which rows
    are settled, and `settle` before it writes down how far it has come: rows are durable before anything counts on them.
    A training says `snapshot` when it has left one. Whoever empties layers says which have `collapsed`, and in which round.
    """

    home: Callable[[str], Path]
    inputs: Mapping[str, Path]
    folder: Path
    out: Path
    log: Callable[[int, Mapping[str, float]], None]
    stopping: Callable[[], bool]
    going_on: Callable[[int], None] = lambda step: None
    settle: Callable[[], None] = lambda: None
    snapshot: Callable[[int], None] = lambda step: None
    collapsed: Callable[[int, Sequence[str]], None] = lambda round, layers: None

    def input(self, role: str, name: str) -> Path | None:
        """A file of an input step, or None where the plan gave the step no such input."""
        folder = self.inputs.get(role)
        return None if folder is None else folder / name
