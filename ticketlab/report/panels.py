"""Figures of one panel per metric, alike in size and lettering; equal content gives equal bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS_PER_ROW = 3
PANEL = (4.2, 3.0)
"""Inches from one panel to the next, across and down."""
LEFT, RIGHT, BOTTOM, TOP = 0.65, 0.15, 0.45, 0.3
"""Inches of these that labels and title take; given, since to find out Matplotlib draws everything once more."""
MOST_NAMED = 20
"""Lines beyond which a legend would hide what it explains."""


class Panels:
    """A figure with a panel for each of the names."""

    def __init__(self, names: Sequence[str], across: str) -> None:
        columns = min(PANELS_PER_ROW, max(1, len(names)))
        rows = max(1, -(-len(names) // columns))
        self._figure = _figure(columns, rows)
        panels = list(self._figure.subplots(rows, columns, squeeze=False).flat)
        self._named = dict(zip(names, panels, strict=False))
        for name, panel in self._named.items():
            panel.set_title(name, fontsize=9)
            panel.set_xlabel(across, fontsize=8)
            panel.tick_params(labelsize=7)
            panel.yaxis.get_offset_text().set_size(7)
            panel.grid(visible=True, alpha=0.3)
        for panel in panels[len(names) :]:
            panel.set_visible(False)

    def __iter__(self) -> Iterator[tuple[str, Axes]]:
        """Names and panels."""
        return iter(self._named.items())

    def png(self) -> bytes:
        """The bytes of the picture; the first panel says what the lines are, unless they are too many."""
        first = next(iter(self._named.values()), None)
        if first is not None and len(first.get_legend_handles_labels()[1]) <= MOST_NAMED:
            first.legend(fontsize=7)
        buffer = io.BytesIO()
        self._figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return buffer.getvalue()


def _figure(columns: int, lines: int) -> Figure:
    """An empty figure with room for so many panels and what is written around each."""
    width, height = PANEL[0] * columns, PANEL[1] * lines
    across, down = LEFT + RIGHT, BOTTOM + TOP
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        left=LEFT / width,
        right=1 - RIGHT / width,
        bottom=BOTTOM / height,
        top=1 - TOP / height,
        wspace=across / (PANEL[0] - across),
        hspace=down / (PANEL[1] - down),
    )
    return figure
