"""A file of the project that could not be read or written, as an error a user can act on."""

from __future__ import annotations

import errno

from ticketlab.errors import EnvironmentProblem

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when a disk, a quota or a file is full."""


def not_written(error: OSError) -> EnvironmentProblem:
    """What the system said, about which file, and what to do; nothing that was finished is lost."""
    mend = f"{remedy(error) or '`ticketlab doctor` looks at disk and folders'}; the same command goes on from here"
    return EnvironmentProblem(error.strerror or str(error), where=str(error.filename or ""), mend=mend)


def remedy(error: Exception) -> str:
    """How to make room, if there was none; else nothing."""
    full = isinstance(error, OSError) and error.errno in NO_ROOM
    return "make room (`ticketlab clean` helps)" if full else ""
