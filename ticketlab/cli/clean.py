"""`ticketlab clean`: room on the disk, without losing what counts."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ticketlab.run.clean import Cleaning, Reason, What

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
LISTED = 40
NAMES: dict[What, tuple[str, str]] = {
    "step": ("step", "steps"),
    "unfinished": ("unfinished step", "unfinished steps"),
    "curves": ("curve", "curves"),
    "lock": ("lock", "locks"),
    "scratch": ("abandoned verification", "abandoned verifications"),
    "remains": ("half-removed step", "half-removed steps"),
}
WHY_KEPT: dict[Reason, str] = {
    "young": "changed since then",
    "in use": "in use by a run",
    "published": "needed by results under runs/",
    "recorded": "named in the ledger (--also-recorded)",
}


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("clean")(clean)


def seconds(age: str) -> float:
    """An age as people write it ("30d", "12h", "90m", "45s", "2w") in seconds; `typer.BadParameter` if it is none."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smhdw])", age.strip(), re.ASCII)
    if not found:
        raise typer.BadParameter(f"{age!r} is no age; write 30d, 12h, 90m, 45s or 2w")
    return float(found[1]) * UNITS[found[2]]


def clean(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Only what did not change for so long: 30d, 12h, 0s.")
    ] = "30d",
    also_recorded: Annotated[
        bool, typer.Option("--also-recorded", help="Also steps that the ledger names, if runs/ does not need them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")] = False,
) -> None:
    """Remove old steps, unfinished work, curves and locks that no result, run or ledger entry needs."""
    from ticketlab.run.clean import clean as clean_store
    from ticketlab.run.project import Project

    age = seconds(older_than)
    done = clean_store(Project.around(Path.cwd()), age, also_recorded=also_recorded, dry_run=dry_run)
    _show(done, dry_run)


def _show(done: Cleaning, dry_run: bool) -> None:
    """What goes, the largest first; then one line of what was freed, and one of what stayed."""
    largest = sorted(done.gone, key=lambda holding: -holding.size)
    shown = largest if dry_run else largest[:LISTED]
    for one in shown:
        days = max(0.0, time.time() - one.changed) / UNITS["d"]
        print(f"  {size(one.size):>9}  {days:6.1f} d  {one.kind or one.what:12}  {one.name[:12]}")
    if len(shown) < len(largest):
        print(f"  and {len(largest) - len(shown)} smaller ones")
    counts = Counter(one.what for one in done.gone)
    listed = ", ".join(f"{count} {NAMES[what][count != 1]}" for what, count in sorted(counts.items()))
    print(f"{'would free' if dry_run else 'freed'} {size(done.freed)}: {listed or 'nothing to remove'}")
    if done.kept:
        print("kept: " + ", ".join(f"{done.kept[why]} {text}" for why, text in WHY_KEPT.items() if done.kept[why]))


def size(count: int) -> str:
    """Bytes as people say them, in powers of 1024: "0 B", "12.3 MiB"."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
