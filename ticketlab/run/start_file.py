"""The file that a network starts from: the user's own, or one that torchvision publishes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ticketlab.run.wanted_file import WEIGHTS, WantedFile, pinned

if TYPE_CHECKING:
    from ticketlab.spec.modelling import ModelChoice
    from ticketlab.spec.start import StateDictFile, TorchvisionWeights

TORCHVISION = "https://download.pytorch.org/models"
"""Where torchvision's weights are published."""


def given_file(options: StateDictFile, model: ModelChoice, project: Path) -> WantedFile:
    """The user's own file."""
    return pinned(options, project)


def torchvision_file(options: TorchvisionWeights, model: ModelChoice, project: Path) -> WantedFile:
    """Torchvision's file for the model's depth: the one named, else in data/weights, else in torch's own cache."""
    depth = getattr(model, "depth", 0)
    name = next(one for one in options.released if one.startswith(f"resnet{depth}-"))
    checksum = name.removesuffix(".pth").rpartition("-")[2]
    url = f"{TORCHVISION}/{name}"
    if options.file is not None:
        mend = f"download {url} elsewhere and put it there, or correct `file` of the model's `start`"
        return WantedFile((project / Path(options.file).expanduser(),), checksum, mend)
    places = (project / "data" / WEIGHTS / name, _cache() / name)
    return WantedFile(places, checksum, f"download {url} elsewhere and put it at data/{WEIGHTS}/{name}", url)


def _cache() -> Path:
    """Where torch itself keeps weights that were downloaded."""
    home = os.environ.get("TORCH_HOME")
    torch = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return torch.expanduser() / "hub" / "checkpoints"
