"""What differs in its seed alone, taken together: the settings of a matrix, with mean and spread of what was measured."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

SEED = "seed"
_HASHED = re.compile(r"-[0-9a-f]{8}$")


class Measured(Protocol):
    """What is taken together with others."""

    @property
    def axes(self) -> Mapping[str, str]:
        """The axes of the matrix, with the word for the value on each."""
        ...

    @property
    def arm(self) -> str:
        """Name of the arm."""
        ...

    @property
    def density(self) -> float:
        """Share of the prunable weights kept."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """Values by metric name."""
        ...

    @property
    def sha256(self) -> Mapping[str, str]:
        """Of every file that the arm left."""
        ...


@dataclass(frozen=True)
class Setting:
    """An arm under one choice of all axes but the seed, over its seeds."""

    axes: Mapping[str, str]
    arm: str
    densities: Sequence[float]
    metrics: Mapping[str, Sequence[float]]

    @property
    def runs(self) -> int:
        """How many runs there are, one per seed."""
        return len(self.densities)

    @property
    def density(self) -> float:
        """Mean share kept."""
        return statistics.fmean(self.densities)


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation of a sample (n - 1); None of fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def settings(results: Sequence[Measured]) -> list[Setting]:
    """The settings in the order of the results.

    An arm that is one training in several cells, as the dense network is beside every ticket, is one setting, of the
    axes that these cells share. Words lose the hash that ends them where an axis needs none to tell its values apart.
    """
    alike: dict[tuple[object, str], list[Measured]] = defaultdict(list)
    for one in results:
        rest = tuple(item for item in one.axes.items() if item[0] != SEED)
        alike[rest, one.arm].append(one)
    same: dict[tuple[str, frozenset[object]], list[list[Measured]]] = defaultdict(list)
    for (_, arm), runs in alike.items():
        same[arm, frozenset(frozenset(one.sha256.items()) for one in runs)].append(runs)
    shorter = _short(results)
    return [_setting(arm, groups, shorter) for (arm, _), groups in same.items()]


def _setting(arm: str, groups: Sequence[Sequence[Measured]], shorter: Mapping[tuple[str, str], str]) -> Setting:
    runs = groups[0]
    shared = set.intersection(*(set(group[0].axes.items()) for group in groups))
    axes = {axis: shorter[axis, word] for axis, word in runs[0].axes.items() if (axis, word) in shared and axis != SEED}
    names = dict.fromkeys(name for one in runs for name in one.metrics)
    found = {name: [one.metrics[name] for one in runs if name in one.metrics] for name in names}
    return Setting(axes, arm, [one.density for one in runs], found)


def _short(results: Sequence[Measured]) -> dict[tuple[str, str], str]:
    """Of each axis and word, the word without its hash, if that is still another than those of the other values."""
    found: dict[tuple[str, str], str] = {}
    for axis in dict.fromkeys(axis for one in results for axis in one.axes):
        words = dict.fromkeys(one.axes[axis] for one in results)
        plain = [_HASHED.sub("", word) for word in words]
        distinct = len(set(plain)) == len(plain)
        found |= {(axis, word): short if distinct else word for word, short in zip(words, plain, strict=True)}
    return found
