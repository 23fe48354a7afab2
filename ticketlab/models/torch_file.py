"""State dicts out of files that torch wrote: zip archives, the layout before version 1.6, TorchScript archives.

Nothing in the file is carried out (ticketlab/inert_pickle.py), and memory stays within the file's own size:
what is read of an archive must be stored, not compressed, and only storages that the state dict names are read.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ticketlab.errors import DataError
from ticketlab.inert_pickle import RefusedError
from ticketlab.models.stored_tensor import Storage, StoredModule, StoredTensor
from ticketlab.models.weights_pickle import read_values

_MOST_PICKLE = 64 * 2**20
_CHUNK = 2**20
_OLD_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_SECTIONS = ("state_dict", "model")

Fetch = Callable[[Storage], Tensor]
"""The bytes of a storage, uint8."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU, in the file's order and types; some may share memory, as they did.

    The file holds a dictionary of tensors; or one in its entry `state_dict` or `model`, beside which training scripts
    keep other things that are not read; or a scripted module. DataError for anything else, a file that is cut,
    compressed, big-endian or has wrong checksums, and one whose pickle asks for more than dictionaries and tensors.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_OLD_START)) == _OLD_START:
                return _old(file, path.stat().st_size)
            with zipfile.ZipFile(file) as archive:
                return _archive(archive, path.stat().st_size)
    except (RefusedError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, struct.error) as problem:
        what = str(problem)[:200] if isinstance(problem, RefusedError | OSError) else "it is damaged, or another format"
        raise DataError(
            f"not a file of torch weights that can be read: {what}",
            where=str(path),
            mend="save a state dict with torch.save(model.state_dict(), path)",
        ) from None


def _archive(archive: zipfile.ZipFile, size: int) -> dict[str, Tensor]:
    names = archive.namelist()
    pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1 or archive.getinfo(pickles[0]).file_size > _MOST_PICKLE:
        raise RefusedError("the archive has no data.pkl, or several, or a huge one")
    folder = pickles[0].removesuffix("data.pkl")
    wanted = (pickles[0], f"{folder}byteorder", f"{folder}data/")
    entries = {entry.filename: entry for entry in archive.infolist() if entry.filename.startswith(wanted)}
    if len(set(names)) != len(names) or sum(entry.file_size for entry in entries.values()) > size:
        raise RefusedError("entries of the archive overlap")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise RefusedError("the archive is compressed")
    if f"{folder}byteorder" in entries and _bytes(archive, entries[f"{folder}byteorder"]) != b"little":
        raise RefusedError("its numbers are big-endian")
    content = io.BytesIO(_bytes(archive, entries[pickles[0]]))
    described = read_values(content)
    if content.read(1):
        raise RefusedError("bytes after the end of its pickle")

    def fetch(storage: Storage) -> Tensor:
        entry = entries.get(f"{folder}data/{storage.key}")
        if entry is None or entry.file_size != _bytes_of(storage):
            raise RefusedError("a storage is missing, or not as long as it says")
        with archive.open(entry) as stream:
            return _filled(stream, entry.file_size)

    return _tensors(described, fetch)


def _bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as stream:
        return stream.read(_MOST_PICKLE)


def _old(file: IO[bytes], size: int) -> dict[str, Tensor]:
    """The layout before archives: pickles of version, machine, values and keys, then each storage after its length."""
    head = io.BytesIO(file.read(_MOST_PICKLE))
    version, machine = read_values(head), read_values(head)
    if version != 1001 or type(machine) is not dict or machine.get("little_endian") is not True:
        raise RefusedError("its numbers are big-endian, or its version is unknown")
    described, keys = read_values(head), read_values(head)
    if type(keys) is not list or any(type(key) is not str for key in keys) or len(set(keys)) != len(keys):
        raise RefusedError("its storages have no keys")
    start = len(_OLD_START) + head.tell()
    storages = _storages_in(described)
    places: dict[str, int] = {}
    for key in keys:
        if key not in storages:
            raise RefusedError("a storage that no tensor names")
        file.seek(start)
        if file.read(8) != struct.pack("<q", storages[key].count):
            raise RefusedError("a storage is missing, or not as long as it says")
        places[key] = start + 8
        start += 8 + _bytes_of(storages[key])
    if start != size:
        raise RefusedError("it is cut, or longer than it says")

    def fetch(storage: Storage) -> Tensor:
        if storage.key not in places:
            raise RefusedError("a storage is missing")
        file.seek(places[storage.key])
        return _filled(file, _bytes_of(storage))

    return _tensors(described, fetch)


def _storages_in(described: Any) -> dict[str, Storage]:
    """Every storage that a value names, however deep; what is met twice is looked into once."""
    found: dict[str, Storage] = {}
    waiting, seen = [described], set[int]()
    while waiting:
        value = waiting.pop()
        if type(value) is StoredTensor:
            found[value.storage.key] = value.storage
        elif type(value) in (dict, list, tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if type(value) is dict else value)
    return found


def _tensors(described: Any, fetch: Fetch) -> dict[str, Tensor]:
    read: dict[Storage, Tensor] = {}
    tensors: dict[str, Tensor] = {}
    for name, stored in _state_dict(described).items():
        if stored.storage not in read:
            read[stored.storage] = _numbers(fetch(stored.storage), stored.storage.dtype)
        tensors[name] = read[stored.storage].as_strided(stored.shape, stored.strides, stored.offset)
    return tensors


def _state_dict(described: Any) -> dict[str, StoredTensor]:
    """The dictionary of tensors, which may be one section of what the file holds."""
    if type(described) is StoredModule:
        described = described.tensors()
    if type(described) is not dict:
        raise RefusedError("it holds no dictionary")
    within = next((described[name] for name in _SECTIONS if type(described.get(name)) is dict), described)
    for name, value in within.items():
        if type(name) is not str or type(value) is not StoredTensor:
            raise RefusedError(f"its entry {str(name)[:80]!r} is not a tensor")
    if not within:
        raise RefusedError("its dictionary is empty")
    return within


def _bytes_of(storage: Storage) -> int:
    return storage.count * storage.dtype.itemsize


def _filled(stream: IO[bytes], length: int) -> Tensor:
    """The next `length` bytes; EOFError if there are fewer."""
    content = torch.empty(length, dtype=torch.uint8, device="cpu")
    room = content.numpy().data
    for start in range(0, length, _CHUNK):
        piece = stream.read(min(_CHUNK, length - start))
        room[start : start + len(piece)] = piece
        if len(piece) < min(_CHUNK, length - start):
            raise EOFError
    return content


def _numbers(content: Tensor, dtype: torch.dtype) -> Tensor:
    # A byte that is neither 0 nor 1 is no boolean, whatever torch makes of it.
    return content.ne(0) if dtype == torch.bool else content.view(dtype)
