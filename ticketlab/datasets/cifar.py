"""CIFAR-10 and CIFAR-100 from their original files, binary or python layout, as folders or as .tar.gz archives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ticketlab.datasets.archive import read_file, read_members
from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import Split
from ticketlab.datasets.pickled_arrays import PickledArray, read_dictionary
from ticketlab.errors import DataError

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Layout:
    """One of the published forms: folder and archive names, files of each split with the images each holds.

    `most` is the longest a file may be per image, in bytes; `decode(content, images, where)` reads one file.
    """

    folder: str
    archive: str
    files: Mapping[SplitName, Mapping[str, int]]
    most: int
    decode: Callable[[bytes, int, str], Split]


def decode_binary(content: bytes, count: int, where: str, *, label_bytes: int, classes: int) -> Split:
    """One binary file: per image `label_bytes` labels, the finest last, then 3072 pixels (channel, row, column)."""
    record = label_bytes + PIXELS
    if len(content) != count * record:
        raise DataError(f"it has {len(content)} bytes, expected {count} records of {record}", where=where)
    records = np.frombuffer(content, dtype=np.uint8).reshape(count, record)
    return _split(records[:, label_bytes:], records[:, label_bytes - 1].astype(np.int64), classes, where)


def decode_python(content: bytes, count: int, where: str, *, label_key: str, classes: int) -> Split:
    """One file of the python layout, never unpickled: `data` uint8 (count, 3072) and a list of labels by their key."""
    batch = read_dictionary(content, where)
    pixels, labels = batch.get("data"), batch.get(label_key)
    if not isinstance(pixels, PickledArray) or pixels.values is None or pixels.values.shape != (count, PIXELS):
        raise DataError(f"its entry 'data' is not {count} rows of {PIXELS} bytes", where=where)
    if type(labels) is not list or len(labels) != count or any(type(label) is not int for label in labels):
        raise DataError(f"its entry '{label_key}' is not a list of {count} whole numbers", where=where)
    if not 0 <= min(labels) <= max(labels) < classes:
        raise DataError(f"labels must be 0 to {classes - 1}", where=where)
    return _split(pixels.values, np.array(labels, dtype=np.int64), classes, where)


_TEN: Mapping[SplitName, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}
_PYTHON_MOST = 2 * PIXELS + 512

CIFAR10 = (
    Layout(
        folder="cifar-10-batches-bin",
        archive="cifar-10-binary.tar.gz",
        files={split: {f"{name}.bin": 10_000 for name in names} for split, names in _TEN.items()},
        most=1 + PIXELS,
        decode=partial(decode_binary, label_bytes=1, classes=10),
    ),
    Layout(
        folder="cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        files={split: dict.fromkeys(names, 10_000) for split, names in _TEN.items()},
        most=_PYTHON_MOST,
        decode=partial(decode_python, label_key="labels", classes=10),
    ),
)
CIFAR100 = (
    Layout(
        folder="cifar-100-binary",
        archive="cifar-100-binary.tar.gz",
        files={"train": {"train.bin": 50_000}, "test": {"test.bin": 10_000}},
        most=2 + PIXELS,
        decode=partial(decode_binary, label_bytes=2, classes=100),
    ),
    Layout(
        folder="cifar-100-python",
        archive="cifar-100-python.tar.gz",
        files={"train": {"train": 50_000}, "test": {"test": 10_000}},
        most=_PYTHON_MOST,
        decode=partial(decode_python, label_key="fine_labels", classes=100),
    ),
)


def read(source: Path, layouts: tuple[Layout, ...]) -> dict[SplitName, Split]:
    """Both splits from an archive, from a folder with the files, or from a folder that holds either.

    The first layout that is there is read. DataError if none is, or if a file is absent or not what it should be.
    """
    for layout in layouts:
        limits = {name: count * layout.most for files in layout.files.values() for name, count in files.items()}
        contents = _take(source, layout, limits)
        if contents:
            return {
                split: _joined(
                    [layout.decode(contents[name], count, f"{source}: {name}") for name, count in files.items()]
                )
                for split, files in layout.files.items()
            }
    names = ", ".join(f"{layout.folder}/ or {layout.archive}" for layout in layouts)
    raise DataError(f"found none of the original files: {names}", where=str(source))


def _take(source: Path, layout: Layout, limits: Mapping[str, int]) -> dict[str, bytes] | None:
    """The contents of a layout's files by name; None if the source has nothing of this layout."""
    for folder in (source, source / layout.folder):
        if any((folder / name).is_file() for name in limits):
            return {name: read_file(folder / name, limit) for name, limit in limits.items()}
    archive = source if source.name == layout.archive else source / layout.archive
    if not archive.is_file():
        return None
    members = read_members(archive, {f"{layout.folder}/{name}": limit for name, limit in limits.items()})
    return {name: members[f"{layout.folder}/{name}"] for name in limits}


def _split(pixels: np.ndarray, labels: np.ndarray, classes: int, where: str) -> Split:
    """A split from rows of pixels (channel, row, column) and labels."""
    if int(labels.max()) >= classes:
        raise DataError(f"labels must be 0 to {classes - 1}, found {int(labels.max())}", where=where)
    images = np.array(pixels).reshape(-1, 3, 32, 32)
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def _joined(parts: list[Split]) -> Split:
    """One split out of its files, in order."""
    return Split(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))
