"""The courier: a process of low priority that brings MLflow up to date, so that training never waits for it."""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from ticketlab.errors import TrackingError
from ticketlab.tracking.cursor import Cursors, Delivery, pending_rows
from ticketlab.tracking.outbox import Outbox
from ticketlab.tracking.process import Process, is_alive, this_process
from ticketlab.tracking.store import QUIET, store_of

INTERVAL = 5.0
"""Seconds between two passes; doubled after each that failed, up to LONGEST."""

LONGEST = 60.0


class Courier:
    """Delivers the project's outbox while this process lives; the calls return at once, all but `finish`.

    The process ends when `finish` was called or its parent is gone, after one last pass. It learns of the first through
    its standard input.
    """

    def __init__(self, project: Path, *, interval: float = INTERVAL) -> None:
        self.project = project.resolve()
        self.log = self.project / ".ticketlab" / "courier.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._request: bytes | None = b"\n"
        self._outcome: Delivery | None = None
        parent = json.dumps(asdict(this_process()))
        # -P here and for DVC: a statistics.py of the user's in the project is not Python's own.
        command = [sys.executable, "-P", "-m", "ticketlab.tracking.courier", str(self.project), "--parent", parent]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--interval", str(interval)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.project,
                env={**QUIET, **os.environ},
                start_new_session=True,
            )

    def finish(self, timeout: float) -> Delivery:
        """Ask for a last pass and wait at most `timeout` seconds for it; after that it goes on without us.

        May be called again, to wait on or to hear the outcome once more.
        """
        if self._outcome is not None:
            return self._outcome
        request, self._request = self._request, None
        try:
            answer, _ = self._process.communicate(request, timeout=timeout)
        except subprocess.TimeoutExpired:
            problem = f"still delivering after {timeout:g} s; it goes on in the background"
            return Delivery(0, _pending(self.project), problem)
        try:
            self._outcome = Delivery(**json.loads(answer))
        except (ValueError, TypeError):
            problem = f"the courier ended with code {self._process.returncode}; see {self.log}"
            self._outcome = Delivery(0, _pending(self.project), problem)
        return self._outcome


def reconcile(project: Path) -> Delivery:
    """Mark the runs whose process is gone as KILLED, then deliver; for after a crash. `ended` names those runs."""
    from ticketlab.tracking.mlflow import deliver

    outbox = Outbox.of(project)
    if not outbox.folder.is_dir():
        return Delivery(0, 0, None)
    try:
        names = {run.key: f"{run.experiment}: {run.name}" for run in outbox.readable()[0]}
        killed = tuple(names.get(key, key) for key in outbox.mark_killed())
    except OSError as failure:
        raise TrackingError(f"the outbox cannot be written: {failure.strerror}", where=str(outbox.folder)) from failure
    return replace(deliver(outbox, project), ended=killed)


def work(project: Path, parent: Process, interval: float) -> Delivery:
    """Pass after pass while the parent lives and does not ask for the end, then the last one; rows add up over all."""
    from ticketlab.tracking.mlflow import deliver

    outbox, total, wait, told = Outbox.of(project), 0, 0.0, None
    while not _asked_to_end(wait) and is_alive(parent):
        outcome = deliver(outbox, project, patience=0)
        total += outcome.delivered
        wait = min(2 * max(wait, interval), LONGEST) if outcome.problem else interval
        if outcome.problem != told:
            sys.stderr.write(f"{time.strftime('%F %T')} {outcome.problem or 'delivering again'}\n")
            told = outcome.problem
    outbox.mark_killed()
    last = deliver(outbox, project)
    return Delivery(total + last.delivered, last.pending, last.problem)


def _asked_to_end(wait: float) -> bool:
    """Wait that many seconds, or less if standard input says something or is closed meanwhile."""
    readable, _, _ = select.select([sys.stdin], [], [], wait)
    return bool(readable)


def _pending(project: Path) -> int:
    outbox = Outbox.of(project)
    return pending_rows(outbox, project, Cursors(outbox, store_of(project).name))


def main() -> None:
    """`python -m ticketlab.tracking.courier PROJECT --parent PROCESS`: what `Courier` starts; answers with JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--parent", required=True)
    parser.add_argument("--interval", type=float, default=INTERVAL)
    options = parser.parse_args()
    os.nice(10)
    outcome = work(options.project, Process(**json.loads(options.parent)), options.interval)
    try:
        sys.stdout.write(json.dumps(asdict(outcome)))
        sys.stdout.flush()
    except BrokenPipeError:
        # The parent has gone; what was to be told is in the log and in the cursors.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
