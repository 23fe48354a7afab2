"""Which source files a run's steps rest on are others than when it was recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import ticketlab
from ticketlab.ledger.blobs import content
from ticketlab.ledger.capture import sources
from ticketlab.ledger.diff import Difference
from ticketlab.ledger.facts import Code
from ticketlab.plan.sources import closure


def edited_files(recorded: Code, modules: Sequence[str], root: Path) -> list[Difference]:
    """A difference of code per file of ticketlab that `modules` rest on and that has other bytes than were recorded.

    Nothing where the list of the recorded files is not in the project at `root` any more.
    """
    then = _listed(recorded, root)
    if then is None:
        return []
    package = Path(ticketlab.__file__).parent
    now = sources(package)
    names = {
        f"{module.replace('.', '/')}{ending}"
        for module in closure(tuple(modules))
        for ending in (".py", "/__init__.py")
    }
    return [
        Difference("code", name, then.get(name), now.get(name))
        for name in sorted(names)
        if then.get(name) != now.get(name)
    ]


def _listed(recorded: Code, root: Path) -> Mapping[str, str] | None:
    """The sha256 of the recorded files by name, from the project's blobs."""
    listed = content(root, recorded.sources)
    if listed is None:
        return None
    found: Mapping[str, str] = json.loads(listed)
    return found
