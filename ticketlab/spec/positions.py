"""Where the values of a spec come from: a line and column of the file, a cell of its matrix, or the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

Path = tuple[str | int, ...]
"""The way to one value of a spec: keys, and indices of lists."""


class Mark(NamedTuple):
    """A place in a text; lines and columns are counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Positions:
    """The place of every key and every value of a spec.

    `borrowed` says which values stand elsewhere in the file (a cell takes them from the matrix), `labelled` which come
    from outside of it (an override on the command line).
    """

    file: str
    keys: Mapping[Path, Mark] = field(default_factory=dict)
    values: Mapping[Path, Mark] = field(default_factory=dict)
    borrowed: Mapping[Path, Path] = field(default_factory=dict)
    labelled: Mapping[Path, str] = field(default_factory=dict)

    def where(self, path: Path, *, key: bool = False) -> str:
        """`file:line:column` of the value at `path` or of its key; if it is absent, of the section around it."""
        label, mark = self._find(path, key)
        return label or f"{self.file}:{mark.line}:{mark.column}"

    def order(self, path: Path, *, key: bool = False) -> Mark:
        """Where `path` stands in reading order; the command line comes first."""
        return self._find(path, key)[1]

    def labelling(self, path: Path, label: str) -> Positions:
        """These positions after the value at `path` was replaced from outside."""
        within = len(path)
        return replace(
            self,
            keys={at: mark for at, mark in self.keys.items() if at[:within] != path},
            values={at: mark for at, mark in self.values.items() if at[:within] != path},
            labelled={**{at: text for at, text in self.labelled.items() if at[:within] != path}, path: label},
        )

    def borrowing(self, borrowed: Mapping[Path, Path]) -> Positions:
        """These positions where the values at the keys of `borrowed` stand at its values instead."""
        return replace(self, borrowed=borrowed)

    def _find(self, path: Path, key: bool) -> tuple[str, Mark]:
        prefixes = [path[:length] for length in range(len(path), 0, -1)]
        for prefix in prefixes:
            if prefix in self.borrowed or prefix in self.labelled:
                return self._elsewhere(prefix, path[len(prefix) :], key)
        if not key and path in self.values:
            return "", self.values[path]
        for prefix in prefixes:
            mark = self.keys.get(prefix) or self.values.get(prefix)
            if mark:
                return "", mark
            for below in (*self.borrowed, *self.labelled):  # a section that is there only for what was put into it
                if below[: len(prefix)] == prefix:
                    return self._elsewhere(below, (), key)
        return "", Mark(1, 1)

    def _elsewhere(self, put: Path, inside: Path, key: bool) -> tuple[str, Mark]:
        if put in self.borrowed:
            return replace(self, borrowed={})._find(self.borrowed[put] + inside, key and bool(inside))
        return self.labelled[put], Mark(0, 0)


def dotted(path: Path) -> str:
    """A path as people write it: `train.augment.0.policy`."""
    return ".".join(map(str, path))
