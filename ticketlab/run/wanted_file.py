"""Files of weights, and of tickets, that a spec asks for: where they may lie, their checksums, their downloads."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

from ticketlab.errors import DataError
from ticketlab.files import sha256_bytes, sha256_file, write_atomically
from ticketlab.run.within import replaced
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.start import StartChoice

WEIGHTS = "weights"
"""The folder under a project's data/ for such files: DVC versions it with the datasets."""

_PATIENCE_SECONDS = 30.0

V = TypeVar("V")


@dataclass(frozen=True)
class WantedFile:
    """A file, of what it `holds`: the places it may lie in, the first that has it counts; what its sha256 begins with.

    Where it is in none of them, it is downloaded from `url` into the last one; without a `url` it must be there.
    """

    places: tuple[Path, ...]
    sha256: str
    mend: str
    url: str = ""
    holds: str = "weights"

    @property
    def name(self) -> str:
        """The file's name."""
        return self.places[0].name

    def at_hand(self) -> Path | None:
        """Where the file lies, unless it has yet to be had; its content is not looked at."""
        return next((place for place in self.places if place.is_file()), None)

    def checked(self) -> tuple[Path, str]:
        """Where the file lies, downloaded if need be, and its sha256. DataError if it cannot be had or is another."""
        path = self.at_hand()
        if path is None:
            path = self._downloaded()
        found = sha256_file(path)
        self._compare(found, str(path))
        return path, found

    def _compare(self, found: str, where: str) -> None:
        if not found.startswith(self.sha256):
            raise DataError(
                f"the sha256 of this file is {found[:16]}..., that of the {self.holds} asked for begins with "
                f"{self.sha256[:16]}",
                where=where,
                mend=self.mend,
            )

    def _downloaded(self) -> Path:
        looked = ", ".join(str(place) for place in self.places)
        if not self.url:
            raise DataError(f"there is no such file of {self.holds}", where=looked, mend=self.mend)
        path = self.places[-1]
        try:
            with urllib.request.urlopen(self.url, timeout=_PATIENCE_SECONDS) as answer:
                content = answer.read()
            # What is kept is found for good, so another file (the page of a proxy, say) must not be.
            self._compare(sha256_bytes(content), self.url)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except (OSError, HTTPException) as problem:
            raise DataError(
                f"the weights are not here and could not be downloaded from {self.url} ({problem})",
                where=looked,
                mend=self.mend,
            ) from None
        return path


def pinned(options: PinnedFile, project: Path, holds: str = "weights") -> WantedFile:
    """The user's own file: its path counts from the project's folder on, and next it is looked for in data/weights/."""
    named = Path(options.file).expanduser()
    mend = f"put the file there, or correct `file` and `sha256` of `{getattr(options, 'kind', 'file')}`"
    return WantedFile((project / named, project / "data" / WEIGHTS / named.name), options.sha256, mend, holds=holds)


def with_files(options: V, home: Callable[[str], Path]) -> V:
    """The options with every pinned file in them found and checked: `file` is its absolute path.

    What a model among them starts from is left alone: a step of its own reads it. `home` is a workplace's. DataError
    if a file is not there, or is another one.
    """

    def found(file: PinnedFile) -> PinnedFile:
        if isinstance(file, StartChoice):
            return file
        path, _ = pinned(file, home(WEIGHTS)).checked()
        return file.model_copy(update={"file": str(path.absolute())})

    return replaced(options, PinnedFile, found)
