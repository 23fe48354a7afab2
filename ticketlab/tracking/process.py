"""Which process wrote something, told apart from a later process that got the same number."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Process:
    """A process for ever: host name, number, and when it started (numbers are reused, start times are not)."""

    host: str
    pid: int
    started: str


def this_process() -> Process:
    """The identity of the calling process."""
    process = process_with(os.getpid())
    assert process is not None
    return process


def process_with(pid: int) -> Process | None:
    """The identity of the process that has that number on this host, or None; a zombie is none."""
    started = _start_of(pid)
    return Process(socket.gethostname(), pid, started) if started else None


def is_alive(process: Process) -> bool:
    """Whether the process still runs; on another host nobody can know, so the answer there is yes."""
    return process.host != socket.gethostname() or process_with(process.pid) == process


def _start_of(pid: int) -> str:
    """When a running process started, in some fixed spelling; "" if it does not run (a zombie does not)."""
    if not _BOOT.exists():
        listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return listing.stdout.strip()
    try:
        # The command name, the second field, may itself hold blanks and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, ticks_since_boot = fields[0], fields[19]
    return "" if state in "ZX" else f"{_BOOT.read_text().strip()}/{ticks_since_boot}"
