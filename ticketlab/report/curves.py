"""The curves of a run as one picture: a panel per metric, a line per arm."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure

PANELS_PER_ROW = 3


def curves_png(journals: Mapping[str, Sequence[Mapping[str, float]]]) -> bytes:
    """PNG bytes of all curves; equal rows give equal bytes."""
    names = sorted({name for found in journals.values() for row in found for name in row if name != "step"})
    columns = min(PANELS_PER_ROW, max(1, len(names)))
    lines = max(1, -(-len(names) // columns))
    figure = Figure(figsize=(4.2 * columns, 3.0 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for name, panel in zip(names, panels, strict=False):
        for arm, found in journals.items():
            points = [(row["step"], row[name]) for row in found if name in row]
            if points:
                panel.plot(*zip(*points, strict=True), label=arm, linewidth=1.2)
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.grid(visible=True, alpha=0.3)
    for panel in list(panels):
        panel.set_visible(False)
    if names:
        figure.axes[0].legend(fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
