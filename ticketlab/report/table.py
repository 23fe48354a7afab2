"""The table a run ends with: one row per arm, with density and what was measured, and one per setting over its seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Protocol

from ticketlab.report.seeds import Measured, Setting, settings, spread

SMALL = 0.001
"""Densities below have more than two decimals in per cent."""


class Row(Measured, Protocol):
    """What a row is made of."""

    @property
    def name(self) -> str:
        """Cell and arm."""
        ...

    @property
    def layer_densities(self) -> Mapping[str, float]:
        """Share of its weights that each prunable layer keeps; nothing for a dense network."""
        ...

    @property
    def collapsed(self) -> Mapping[str, int]:
        """The layers of which nothing is left, with the round in which each died; 0 is in training."""
        ...

    @property
    def multiply_adds(self) -> Mapping[str, tuple[int, int]]:
        """Of each network in one forward of one image: under the mask, and dense; nothing for a dense network."""
        ...


def cells(results: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Column heads and rows of text, in the order of the results."""
    names = list(dict.fromkeys(name for result in results for name in result.metrics))
    rows = [
        [result.name, share(result.density), *(_spelled(result.metrics.get(name)) for name in names)]
        for result in results
    ]
    return ["arm", "density", *names], rows


def over_seeds(results: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Column heads and rows of text, mean and standard deviation over the seeds; none where no setting has two seeds."""
    found = settings(results)
    if all(one.runs == 1 for one in found):
        return [], []
    axes = list(dict.fromkeys(axis for one in found for axis in one.axes))
    names = list(dict.fromkeys(name for one in found for name in one.metrics))
    rows = [
        [*(one.axes.get(axis, "") for axis in axes), one.arm, str(one.runs), share(one.density), *_means(one, names)]
        for one in found
    ]
    return [*axes, "arm", "seeds", "density", *names], rows


def _means(setting: Setting, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        values = setting.metrics.get(name, ())
        around = spread(values)
        mean = _spelled(statistics.fmean(values)) if values else ""
        found.append(mean if around is None else f"{mean} ± {around:.2g}")
    return found


def markdown(title: str, results: Sequence[Row]) -> str:
    """The tables as a small Markdown page."""
    lines = [f"# {title}", "", *_table(*cells(results))]
    head, rows = over_seeds(results)
    lines += _section("Over the seeds", ["Mean ± standard deviation (n - 1).", "", *_table(head, rows)] if rows else [])
    lines += _section("Layer collapse", [f"- {line}" for line in collapses(results)])
    return "\n".join([*lines, *_layers(results), *_multiply_adds(results)]) + "\n"


def collapses(results: Sequence[Row]) -> list[str]:
    """A line for every result of some of whose layers nothing is left: which, and since when."""
    return [f"{one.name}: nothing is left of {spelled(one.collapsed)}" for one in results if one.collapsed]


def spelled(collapsed: Mapping[str, int]) -> str:
    """Empty layers with the rounds they died in: "a, b (round 1), c (round 7)"."""
    found = []
    for round in dict.fromkeys(collapsed.values()):
        layers = ", ".join(layer for layer, when in collapsed.items() if when == round)
        found.append(f"{layers} ({f'round {round}' if round else 'in training'})")
    return ", ".join(found)


def _layers(results: Sequence[Row]) -> list[str]:
    """Densities layer by layer, a column for every result that has a mask; networks of other layers leave gaps."""
    shares = {one.name: {layer: _kept(density) for layer, density in one.layer_densities.items()} for one in results}
    return _section("Density by layer", _by_result("layer", shares))


def _multiply_adds(results: Sequence[Row]) -> list[str]:
    """What a forward of one image costs under each mask, and the share of the dense network's cost that this is."""
    costs = {
        one.name: {network: f"{kept:,} ({share(kept / dense)})" for network, (kept, dense) in one.multiply_adds.items()}
        for one in results
    }
    return _section("Multiply-adds of one image", _by_result("network", costs))


def _by_result(first: str, found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A table of a column for every result that has anything, in the order of the results."""
    having = {name: own for name, own in found.items() if own}
    head = [first, *having]
    rows = [
        [row, *(own.get(row, "") for own in having.values())]
        for row in dict.fromkeys(r for o in having.values() for r in o)
    ]
    return _table(head, rows) if rows else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *lines] if lines else []


def share(value: float) -> str:
    """A density in per cent: two decimals, or as many as two digits take, so that little is not taken for nothing."""
    if not 0 < value < SMALL:
        return f"{value:.2%}"
    decimals = 1 - math.floor(math.log10(100 * value))
    return f"{100 * value:.{decimals}f}".rstrip("0") + "%"


def _kept(value: float) -> str:
    return share(value) if value else "**0**"


def _spelled(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
