"""What is seen of a run: a live view in a terminal, plain lines elsewhere, a table at the end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ticketlab.report import table
from ticketlab.run.events import Event, LayerCollapse, Listener, Notice, StepFinished, StepStarted
from ticketlab.run.events import Progress as Row

if TYPE_CHECKING:
    from ticketlab.run.estimate import Estimate
    from ticketlab.run.experiment import Outcome

PLAIN_SECONDS = 10.0


@dataclass
class _Now:
    """What the view shows: the step that runs, its last values, and how fast it goes."""

    started: StepStarted | None = None
    since: float = 0.0
    first: int | None = None
    step: int = 0
    values: dict[str, float] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Let an event change what is shown."""
        if isinstance(event, StepStarted):
            self.started, self.since, self.first, self.step, self.values = event, time.monotonic(), None, 0, {}
        elif isinstance(event, Row):
            self.step = max(self.step, event.step)
            if self.first is None:
                self.first, self.since = event.step, time.monotonic()
            self.values.update(event.metrics)
        elif isinstance(event, StepFinished):
            self.finished.append(f"{event.cell}: {event.title}  {event.seconds:.0f} s")
        elif isinstance(event, LayerCollapse):
            self.finished.append(f"{event.cell}: {_collapse(event)}")
        else:
            self.finished.append(event.text)

    @property
    def speed(self) -> float | None:
        """Training steps per second since the first row."""
        passed = time.monotonic() - self.since
        if self.first is None or self.step <= self.first or passed <= 0:
            return None
        return (self.step - self.first) / passed

    def left(self) -> str:
        """How long this step still takes, in words."""
        if self.started is None or self.started.length is None or self.speed is None:
            return ""
        seconds = max(0.0, (self.started.length - self.step) / self.speed)
        return f"{duration(seconds)} left"


@contextmanager
def screen(name: str, console: Console) -> Iterator[Listener]:
    """A listener that shows a run as it goes, live in a terminal and in plain lines elsewhere."""
    if not console.is_terminal:
        yield _plain_lines()
        return
    now = _Now()
    with Live(_view(name, now), console=console, refresh_per_second=4, transient=True) as live:

        def listen(event: Event) -> None:
            now.take(event)
            live.update(_view(name, now))

        yield listen


def _view(name: str, now: _Now) -> Panel:
    lines: list[object] = [Text(line, style="dim") for line in now.finished[-8:]]
    if now.started is not None:
        bar = Progress(TextColumn("{task.description}"), BarColumn(bar_width=36), TextColumn("{task.fields[tail]}"))
        total = now.started.length
        tail = " ".join(filter(None, [f"{now.step}/{total}" if total else "", _speed(now), now.left()]))
        bar.add_task(now.started.title, total=total, completed=now.step, tail=tail)
        position = f"step {now.started.position} of {now.started.total}: {now.started.cell}"
        values = Table.grid(padding=(0, 2))
        for metric, value in now.values.items():
            values.add_row(metric, f"{value:.4g}")
        lines += [Text(position, style="bold"), bar, values]
    return Panel(Group(*lines), title=name, border_style="blue")  # type: ignore[arg-type]


def _collapse(event: LayerCollapse) -> str:
    return f"layer collapse, nothing is left of {table.spelled(dict.fromkeys(event.layers, event.round))}"


def _speed(now: _Now) -> str:
    return f"{now.speed:.1f} steps/s" if now.speed else ""


def _plain_lines() -> Listener:
    now, last = _Now(), [0.0]

    def listen(event: Event) -> None:
        """A line when a step begins and ends, and now and then between."""
        now.take(event)
        if isinstance(event, StepStarted):
            _say(f"[{event.position}/{event.total}] {event.cell}: {event.title}")
        elif isinstance(event, StepFinished):
            values = "  ".join(f"{name} {value:.4g}" for name, value in now.values.items())
            _say(f"    done in {event.seconds:.1f} s  {values}")
        elif isinstance(event, LayerCollapse):
            _say(f"    warning: {_collapse(event)}")
        elif isinstance(event, Notice):
            _say(f"    note: {event.text}")
        elif time.monotonic() - last[0] > PLAIN_SECONDS:
            last[0] = time.monotonic()
            values = "  ".join(f"{name} {value:.4g}" for name, value in now.values.items())
            _say(f"    step {event.step}  {values}  {_speed(now)} {now.left()}")

    return listen


def _say(line: str) -> None:
    try:
        print(line.rstrip(), file=sys.stdout, flush=True)
    except BrokenPipeError:
        # Whoever read has gone (`| head`): the run goes on, and what is said from here on is said to nobody.
        nobody = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nobody, sys.stdout.fileno())
        os.close(nobody)


def show_outcome(name: str, outcome: Outcome, console: Console) -> None:
    """The table a run ends with, what failed, and where to look next."""
    if outcome.results:
        console.print(_table(name, *table.cells(outcome.results)))
        head, rows = table.over_seeds(outcome.results)
        if rows:
            console.print(_table("over the seeds", head, rows))
    for line in table.collapses(outcome.results):
        console.print(Text.assemble(("layer collapse ", "yellow"), line))
    for failure in outcome.failures:
        console.print(Text.assemble(("failed ", "red"), f"{failure.name}: {failure.error}"))


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    view = Table(title=title, title_style="bold", header_style="bold")
    for column in head:
        view.add_column(column.replace("_", "\n", 1), justify="left" if column == "arm" else "right", overflow="fold")
    for row in rows:
        view.add_row(*row)
    return view


def show_plan(found: Estimate) -> None:
    """A plan as text: networks, then steps with digest and state, then the estimate."""
    for name, network in found.networks.items():
        prunable = ", ".join(f"{count:,} {kind}" for kind, count in network.prunable.items() if count)
        _say(
            f"{name}: {network.parameters:,} parameters (weights: {prunable}), {network.multiply_adds:,} multiply-adds an image"
        )
    for step in found.steps:
        state = "cached" if step.cached else (f"~{duration(step.seconds)}" if step.seconds else "to do")
        length = f"{step.steps} steps" if step.steps else step.note
        _say(f"  {step.digest[:12]:12}  {state:>10}  {step.arm:16} {step.title}  {length}")
    for one in found.missing:
        _say(f"missing: {one}")
    _say(f"memory for weights, gradients and moments: {found.memory / 2**20:.0f} MiB")
    measured = f"{found.speed / 1e9:.1f} G multiply-adds/s measured on {found.device}"
    _say(f"estimated time: {duration(found.seconds)} here, roughly ({measured}; layers alone are counted)")


def duration(seconds: float) -> str:
    """A time in its two largest units that matter."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"
