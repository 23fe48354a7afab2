"""What was measured against the share of weights kept: a panel per metric, a line per way to draw the ticket."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ticketlab.report.panels import Panels
from ticketlab.report.seeds import spread
from ticketlab.report.table import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ticketlab.report.seeds import Setting

ASKED = ("ticket.schedule", "ticket.density")
"""Where a spec says how much is kept: axes that may run along a line instead of telling two lines apart."""

MOST_TICKS = 6
"""Densities that are written below a panel without running into each other."""

Line = Sequence["Setting"]


def density_png(settings: Sequence[Setting]) -> bytes | None:
    """PNG bytes of the means, with bars of one standard deviation over the seeds; None if no line has two densities.

    Arms that are dense are dashed levels.
    """
    masked = lines([one for one in settings if one.density < 1])
    if not any(len({one.density for one in line}) > 1 for line in masked.values()):
        return None
    dense = [one for one in settings if one.density == 1]
    names = list(dict.fromkeys(name for one in settings for name in one.metrics))
    kept = sorted({one.density for line in masked.values() for one in line})
    ticks = kept[:: -(-len(kept) // MOST_TICKS)]
    panels = Panels(names, "share of the weights kept")
    for name, panel in panels:
        panel.set_xscale("log")
        panel.set_xticks(ticks, [share(tick) for tick in ticks])
        panel.minorticks_off()
        for label, line in masked.items():
            _draw(panel, name, label, line)
        for level in dense:
            if level.metrics.get(name):
                label = " ".join([*level.axes.values(), level.arm])
                panel.axhline(
                    statistics.fmean(level.metrics[name]), label=label, linestyle="--", linewidth=1, color="0.4"
                )
    return panels.png()


def _draw(panel: Axes, name: str, label: str, line: Line) -> None:
    having = sorted((one for one in line if one.metrics.get(name)), key=lambda one: one.density)
    panel.errorbar(
        [one.density for one in having],
        [statistics.fmean(one.metrics[name]) for one in having],
        yerr=[spread(one.metrics[name]) or 0.0 for one in having],
        label=label,
        linewidth=1.2,
        marker=".",
        capsize=2,
    )


def lines(settings: Line) -> Mapping[str, Line]:
    """The settings by what is said of their line: the axes that differ and do not run along it, and the arm, if they do."""
    along = _along(settings)
    told = {
        axis for one in settings for axis in one.axes if len({other.axes.get(axis) for other in settings}) > 1
    } - along
    several = len({one.arm for one in settings}) > 1 or not told
    found: dict[str, list[Setting]] = defaultdict(list)
    for one in settings:
        words = [word for axis, word in one.axes.items() if axis in told]
        found[" ".join([*words, one.arm] if several else words)].append(one)
    return found


def _along(settings: Line) -> set[str]:
    """The axes of `ASKED` on which every value keeps another share, all else being equal."""
    axes = dict.fromkeys(axis for one in settings for axis in one.axes if axis.startswith(ASKED))
    found = set()
    for axis in axes:
        others: dict[object, list[float]] = defaultdict(list)
        for one in settings:
            rest = tuple(item for item in one.axes.items() if item[0] != axis)
            others[rest, one.arm].append(one.density)
        if all(len(set(densities)) == len(densities) for densities in others.values()):
            found.add(axis)
    return found
