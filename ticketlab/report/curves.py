"""The curves of a run as one picture: a panel per metric, a line per arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ticketlab.report.panels import Panels


def curves_png(journals: Mapping[str, Sequence[Mapping[str, float]]]) -> bytes:
    """PNG bytes of all curves; equal rows give equal bytes. What several arms share, as cells do a dense network, is one line."""
    distinct: dict[str, Sequence[Mapping[str, float]]] = {}
    for arm, found in journals.items():
        if not any(list(found) == list(other) for other in distinct.values()):
            distinct[arm] = found
    names = sorted({name for found in distinct.values() for row in found for name in row if name != "step"})
    panels = Panels(names, "step")
    for name, panel in panels:
        for arm, found in distinct.items():
            points = [(row["step"], row[name]) for row in found if name in row]
            if points:
                marker = "." if len(points) == 1 else ""
                panel.plot(*zip(*points, strict=True), label=arm, linewidth=1.2, marker=marker)
    return panels.png()
