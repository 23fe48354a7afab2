"""NPZ files whose bytes depend on their content alone, and a reader that trusts nothing in them."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ticketlab.errors import CorruptFile, DataError
from ticketlab.files import write_atomically

MAGIC = b"\x93NUMPY\x01\x00"
HEADER = re.compile(
    r"\{\s*'descr':\s*'(?P<dtype>[^']*)',\s*'fortran_order':\s*(?P<fortran>True|False),"
    r"\s*'shape':\s*\((?P<shape>[\d, ]*)\),?\s*\}\s*"
)
MEND = "make the file again, or fetch it again"
FLOAT = re.compile("[<>]f[48]")
INTEGER = re.compile("[<>]i[48]")
TEXT = re.compile("[<>]U[1-9][0-9]{0,3}")
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)
"""What zipfile raises on damaged, encrypted or exotic archives."""


def write_archive(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `arrays` as an uncompressed NPZ, in the given order, atomically.

    Time stamps, permissions and byte order are fixed, so equal arrays give equal files (numpy.savez stamps the clock).
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as bundle:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            member = io.BytesIO()
            little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
            np.lib.format.write_array(member, little, version=(1, 0), allow_pickle=False)
            bundle.writestr(entry, member.getvalue())
    write_atomically(path, content.getvalue())


@dataclass(frozen=True)
class Archive:
    """An open NPZ file; every array's header is judged before any of its data are read."""

    path: Path
    bundle: zipfile.ZipFile

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self.bundle.NameToInfo

    def floats(self, name: str, shape: tuple[int | None, ...], most: int) -> NDArray[np.float64]:
        """The float32 or float64 array `name` as float64.

        `shape` has None where any size from 1 to `most` is allowed. Raises CorruptFile, before reading the data, for
        another type or shape.
        """
        return self._read(name, FLOAT, shape, most).astype(np.float64)

    def integer(self, name: str) -> int:
        """The single integer `name`; CorruptFile if it is something else."""
        return int(self._read(name, INTEGER, (), 1))

    def text(self, name: str) -> str:
        """The single string `name`, at most 9999 characters; CorruptFile if it is something else."""
        return str(self._read(name, TEXT, (), 1)[()])

    def corrupt(self, reason: str) -> CorruptFile:
        """The error that names this file and `reason`."""
        return CorruptFile(reason, where=str(self.path), mend=MEND)

    def _read(self, name: str, kind: re.Pattern[str], shape: tuple[int | None, ...], most: int) -> NDArray[Any]:
        if name not in self:
            raise self.corrupt(f"the array {name!r} is missing")
        entry = self.bundle.getinfo(f"{name}.npy")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self.corrupt(f"the array {name!r} is compressed in a way numpy does not write")
        with self.bundle.open(entry) as stream:
            descr, fortran, found = self._header(name, stream)
            if not kind.fullmatch(descr):
                raise self.corrupt(f"the array {name!r} is of type {descr!r}, wanted {kind.pattern}")
            fits = len(found) == len(shape) and all(
                have == want if want is not None else 1 <= have <= most for have, want in zip(found, shape, strict=True)
            )
            if not fits:
                wanted = "x".join("any" if want is None else str(want) for want in shape) or "a single value"
                raise self.corrupt(f"the array {name!r} is of shape {found}, wanted {wanted} (at most {most})")
            dtype = np.dtype(descr)
            expected = dtype.itemsize * int(np.prod(found, dtype=np.int64))
            content = stream.read(expected + 1)
        if len(content) != expected:
            raise self.corrupt(f"the array {name!r} does not hold the {expected} bytes its header promises")
        return np.frombuffer(content, dtype).reshape(found, order="F" if fortran else "C")

    def _header(self, name: str, stream: IO[bytes]) -> tuple[str, bool, tuple[int, ...]]:
        prefix = stream.read(len(MAGIC) + 2)
        length = int.from_bytes(prefix[len(MAGIC) :], "little")
        match = HEADER.fullmatch(stream.read(length).decode("latin-1")) if prefix.startswith(MAGIC) else None
        sizes = [size.strip() for size in match["shape"].split(",")] if match else []
        if match is None or any(len(size) > 18 or " " in size for size in sizes):
            raise self.corrupt(f"the array {name!r} has no readable NPY header (Python objects are never read)")
        return match["dtype"], match["fortran"] == "True", tuple(int(size) for size in sizes if size)


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open the NPZ file at `path`; damage found now or while reading is a CorruptFile, a missing file a DataError."""
    try:
        handle = path.open("rb")
    except OSError as reason:
        raise DataError(f"the file cannot be opened: {reason.strerror}", where=str(path)) from reason
    with handle:
        try:
            with zipfile.ZipFile(handle) as bundle:
                yield Archive(path, bundle)
        except DAMAGE as reason:
            raise CorruptFile(f"not a readable NPZ file: {reason}", where=str(path), mend=MEND) from reason
