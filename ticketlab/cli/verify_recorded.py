"""`ticketlab verify --code recorded`: the command again, by the recorded code, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketlab.ledger.entry import Entry
    from ticketlab.run.project import Project

PATIENCE = 0.2
"""Seconds between two looks at whether the command was asked to stop."""


def with_recorded_code(
    entry: Entry, project: Project, options: Sequence[str], stopping: Callable[[], bool], codes: Collection[int]
) -> int:
    """Have `ticketlab verify` of one entry done by the code that was recorded with it; its exit code, one of `codes`.

    A wish to stop is passed on. LedgerError if that process found nothing, because it failed or was killed;
    Interrupted if it was stopped.
    """
    from ticketlab.errors import Interrupted, LedgerError
    from ticketlab.ledger.statement import facts
    from ticketlab.run.recorded_code import checked_out
    from ticketlab.run.verify import BEGIN_AGAIN

    with (
        tempfile.TemporaryDirectory() as scratch,
        checked_out(facts(entry.statement).code, project.root, Path(scratch)) as tree,
    ):
        command = [sys.executable, "-P", "-m", "ticketlab", "verify", str(entry.index), *options]
        # What else is on the path, a package of methods say, stays.
        path = os.pathsep.join(filter(None, (str(tree), os.environ.get("PYTHONPATH"))))
        ended = _followed(subprocess.Popen(command, cwd=project.root, env={**os.environ, "PYTHONPATH": path}), stopping)
    if ended == Interrupted.exit_code or stopping():
        raise Interrupted("the recorded code was stopped", mend=BEGIN_AGAIN)
    if ended not in codes:
        how = f"killed by signal {-ended}" if ended < 0 else f"exit {ended}"
        raise LedgerError(f"the recorded code did not finish its work ({how})", mend="--code here")
    return ended


def _followed(process: subprocess.Popen[bytes], stopping: Callable[[], bool]) -> int:
    """The exit code of a process, which is asked to stop once when this one is."""
    asked = False
    while True:
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            if stopping() and not asked:
                process.send_signal(signal.SIGTERM)
                asked = True
