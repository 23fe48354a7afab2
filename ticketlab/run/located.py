"""Where two files begin to differ: the first tensor, array or field that is another."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ticketlab.files import parse_json

LARGEST_HEADER = 2**24
"""Bytes of the header of a safetensors file that are read, and of a JSON file."""

HARMED = (
    OSError,
    ValueError,
    ArithmeticError,
    RuntimeError,
    EOFError,
    struct.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a file says in which any bits are other than they were: of an archive even of how it is packed."""


def first_difference(then: Path, now: Path) -> str:
    """In words, such as `tensor fc1.weight`; empty if the files are of no kind that has names, or cannot be read."""
    looks = {".safetensors": _tensor, ".npz": _array, ".json": _json}
    look = looks.get(then.suffix)
    try:
        return look(then, now) if look else ""
    except (*HARMED, LookupError, TypeError):
        return ""


def first_field(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first field, by dotted path, in which two JSON objects differ, with both values; empty where none does."""
    left, right = dict(_leaves(then)), dict(_leaves(now))
    for name in dict.fromkeys([*left, *right]):
        # As text: a NaN is the same as another.
        if repr(left.get(name)) != repr(right.get(name)):
            return f"{name} {left.get(name)!r} then, {right.get(name)!r} now"
    return ""


def _tensor(then: Path, now: Path) -> str:
    """By their bytes, without torch: a file that was harmed is looked at too."""
    left, right = _header(then), _header(now)
    for name in dict.fromkeys([*left, *right]):
        if name not in left or name not in right:
            return f"tensor {name} is only {'now' if name in right else 'then'}"
        if left[name][:2] != right[name][:2] or _span(then, left[name]) != _span(now, right[name]):
            return f"tensor {name}"
    return "the header"


_Place = tuple[str, list[int], int, int]


def _header(path: Path) -> dict[str, _Place]:
    """Of each tensor, in the order of the file: type, shape, and from where to where its bytes lie."""
    with path.open("rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        if size > LARGEST_HEADER:
            raise ValueError("no header is as long")
        found = parse_json(handle.read(size))
    if not isinstance(found, dict):
        raise TypeError("a header names tensors")
    places: dict[str, _Place] = {}
    for name, one in found.items():
        if name != "__metadata__":
            begin, end = one["data_offsets"]
            places[name] = (one["dtype"], one["shape"], 8 + size + int(begin), 8 + size + int(end))
    return dict(sorted(places.items(), key=lambda place: place[1][2]))


def _span(path: Path, place: _Place) -> bytes:
    _, _, begin, end = place
    if not 0 <= begin <= end <= path.stat().st_size:
        raise ValueError("a tensor lies outside its file")
    with path.open("rb") as handle:
        handle.seek(begin)
        return handle.read(end - begin)


def _array(then: Path, now: Path) -> str:
    with zipfile.ZipFile(then) as left, zipfile.ZipFile(now) as right:
        ours, theirs = ({one.filename: one.CRC for one in found.infolist()} for found in (left, right))
        for name in dict.fromkeys([*ours, *theirs]):
            if ours.get(name) != theirs.get(name) or not (_is_sound(left, name) and _is_sound(right, name)):
                return f"array {name.removesuffix('.npy')}"
    return ""


def _is_sound(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether the bytes of an array are those that its sum was made of."""
    try:
        with archive.open(name) as handle:
            while handle.read(2**20):
                pass
    except HARMED:
        return False
    return True


def _json(then: Path, now: Path) -> str:
    if max(then.stat().st_size, now.stat().st_size) > LARGEST_HEADER:
        return ""
    left, right = parse_json(then.read_bytes()), parse_json(now.read_bytes())
    return first_field(left, right) if isinstance(left, dict) and isinstance(right, dict) else ""


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        path = f"{above}.{name}" if above else name
        if isinstance(inner, Mapping):
            yield from _leaves(inner, path)
        else:
            yield path, inner
