"""The file that a network starts from: where it may lie, its checksum, its download."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from ticketlab.errors import DataError
from ticketlab.files import sha256_file, write_atomically

if TYPE_CHECKING:
    from ticketlab.spec.modelling import ModelChoice
    from ticketlab.spec.start import StateDictFile, TorchvisionWeights

WEIGHTS = "weights"
"""The folder under a project's data/ for such files: DVC versions it with the datasets."""

TORCHVISION = "https://download.pytorch.org/models"
"""Where torchvision's weights are published."""

_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class StartFile:
    """A file of weights: the places it may lie in, the first that has it counts; what its sha256 begins with.

    Where it is in none of them, it is downloaded from `url` into the last one; without a `url` it must be there.
    """

    places: tuple[Path, ...]
    sha256: str
    mend: str
    url: str = ""

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
        if not found.startswith(self.sha256):
            raise DataError(
                f"the sha256 of this file is {found[:16]}..., that of the weights asked for begins with "
                f"{self.sha256[:16]}",
                where=str(path),
                mend=self.mend,
            )
        return path, found

    def _downloaded(self) -> Path:
        looked = ", ".join(str(place) for place in self.places)
        if not self.url:
            raise DataError("there is no such file of weights", where=looked, mend=self.mend)
        path = self.places[-1]
        try:
            with urllib.request.urlopen(self.url, timeout=_PATIENCE_SECONDS) as answer:
                content = answer.read()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except (OSError, HTTPException) as problem:
            raise DataError(
                f"the weights are not here and could not be downloaded from {self.url} ({problem})",
                where=looked,
                mend=self.mend,
            ) from None
        return path


def given_file(options: StateDictFile, model: ModelChoice, project: Path) -> StartFile:
    """The user's own file; its path counts from the project's folder on."""
    mend = "put the file there, or correct `file` and `sha256` of the model's `start`"
    return StartFile((_from(project, options.file),), options.sha256, mend)


def torchvision_file(options: TorchvisionWeights, model: ModelChoice, project: Path) -> StartFile:
    """Torchvision's file for the model's depth: the one named, else in data/weights, else in torch's own cache."""
    name = options.file_name(getattr(model, "depth", 0))
    checksum = name.removesuffix(".pth").rpartition("-")[2]
    url = f"{TORCHVISION}/{name}"
    if options.file is not None:
        mend = f"download {url} elsewhere and put it there, or correct `file` of the model's `start`"
        return StartFile((_from(project, options.file),), checksum, mend)
    places = (project / "data" / WEIGHTS / name, _cache() / name)
    return StartFile(places, checksum, f"download {url} elsewhere and put it at data/{WEIGHTS}/{name}", url)


def _from(project: Path, file: str) -> Path:
    return project / Path(file).expanduser()


def _cache() -> Path:
    """Where torch itself keeps weights that were downloaded."""
    home = os.environ.get("TORCH_HOME")
    torch = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return torch.expanduser() / "hub" / "checkpoints"
