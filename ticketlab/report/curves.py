"""The curves of a run as one picture: a panel per metric, a line per arm."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure

PANELS_PER_ROW = 3
PANEL = (4.2, 3.0)
"""Inches from one panel to the next, across and down."""
LEFT, RIGHT, BOTTOM, TOP = 0.65, 0.15, 0.45, 0.3
"""Inches of these that labels and title take; given, since to find out Matplotlib draws everything once more."""


def curves_png(journals: Mapping[str, Sequence[Mapping[str, float]]]) -> bytes:
    """PNG bytes of all curves; equal rows give equal bytes."""
    names = sorted({name for found in journals.values() for row in found for name in row if name != "step"})
    columns = min(PANELS_PER_ROW, max(1, len(names)))
    lines = max(1, -(-len(names) // columns))
    figure = _figure(columns, lines)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for name, panel in zip(names, panels, strict=False):
        for arm, found in journals.items():
            points = [(row["step"], row[name]) for row in found if name in row]
            if points:
                panel.plot(*zip(*points, strict=True), label=arm, linewidth=1.2)
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.yaxis.get_offset_text().set_size(7)
        panel.grid(visible=True, alpha=0.3)
    for panel in list(panels):
        panel.set_visible(False)
    if names:
        figure.axes[0].legend(fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
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
