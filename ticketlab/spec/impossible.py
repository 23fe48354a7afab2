"""The refusal of sections that are right each by itself but make no sense together."""

from __future__ import annotations

from ticketlab.errors import SpecError
from ticketlab.spec.positions import Path, dotted


class Impossible(SpecError):
    """Sections that are right each by itself but make no sense together; `path` is the value to look at first."""

    def __init__(self, path: Path, what: str, mend: str = "") -> None:
        super().__init__(what, where=dotted(path), mend=mend)
        self.path = path
