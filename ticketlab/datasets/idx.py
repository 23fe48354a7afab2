"""The idx files of MNIST and Fashion-MNIST, plain or gzipped."""

from __future__ import annotations

import struct
from pathlib import Path

import torch
from torch import Tensor

from ticketlab.datasets.archive import read_file, read_gzip
from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import Split
from ticketlab.errors import DataError

_PREFIX: dict[SplitName, str] = {"train": "train", "test": "t10k"}
_COUNTS: dict[SplitName, int] = {"train": 60_000, "test": 10_000}
_UNSIGNED_BYTE = 0x08


def read(source: Path) -> dict[SplitName, Split]:
    """Both splits from a folder with the four original files: 60,000 and 10,000 images, 28 x 28, ten classes.

    DataError if a file is absent or is not exactly what its name says.
    """
    return {split: _read_split(source, split) for split in _COUNTS}


def _read_split(source: Path, split: SplitName) -> Split:
    count, prefix = _COUNTS[split], _PREFIX[split]
    images = read_idx(_find(source, f"{prefix}-images-idx3-ubyte"), (count, 28, 28))
    where = _find(source, f"{prefix}-labels-idx1-ubyte")
    labels = read_idx(where, (count,)).to(torch.int64)
    if int(labels.max()) > 9:
        raise DataError(f"labels must be 0 to 9, found {int(labels.max())}", where=str(where))
    return Split(images[:, None], labels)


def read_idx(path: Path, shape: tuple[int, ...]) -> Tensor:
    """A uint8 tensor of the given shape from an idx file (gzipped if the name ends in .gz).

    The header is two zero bytes, the type 0x08, the number of dimensions, and each dimension as a big-endian 32-bit
    number. DataError if header or length differ in any way; never more than the expected length is read.
    """
    expected_header = struct.pack(f">HBB{len(shape)}I", 0, _UNSIGNED_BYTE, len(shape), *shape)
    length = len(expected_header) + torch.Size(shape).numel()
    content = read_gzip(path, length) if path.suffix == ".gz" else read_file(path, length)
    header = content[: len(expected_header)]
    if header[:4] != expected_header[:4]:
        raise DataError(
            f"not an idx file of bytes in {len(shape)} dimensions: it begins with {header[:4].hex() or 'nothing'}, "
            f"expected {expected_header[:4].hex()}",
            where=str(path),
        )
    if header != expected_header:
        found = struct.unpack(f">{(len(header) - 4) // 4}I", header[4 : len(header) // 4 * 4])
        raise DataError(f"its header says {found}, expected {shape}", where=str(path))
    if len(content) != length:
        raise DataError(f"it holds {len(content)} bytes, expected {length}", where=str(path), mend="download it again")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=len(header)).reshape(shape)


def _find(source: Path, name: str) -> Path:
    """The plain or the gzipped file of that name."""
    for path in (source / name, source / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(
        f"there is no {name} and no {name}.gz here",
        where=str(source),
        mend="give the folder with the four original idx files",
    )
