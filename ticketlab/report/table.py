"""The table a run ends with: one row per arm, with density and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Row(Protocol):
    """What a row is made of."""

    @property
    def name(self) -> str:
        """Cell and arm."""
        ...

    @property
    def density(self) -> float:
        """Share of the prunable weights kept."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """Values by metric name."""
        ...


def cells(results: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Column heads and rows of text, in the order of the results."""
    names = list(dict.fromkeys(name for result in results for name in result.metrics))
    rows = [
        [result.name, f"{result.density:.2%}", *(_spelled(result.metrics.get(name)) for name in names)]
        for result in results
    ]
    return ["arm", "density", *names], rows


def markdown(title: str, results: Sequence[Row]) -> str:
    """The table as a small Markdown page."""
    head, rows = cells(results)
    lines = [f"# {title}", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _spelled(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
