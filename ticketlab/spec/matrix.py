"""One spec, many cells: every combination of the values that `matrix` gives to paths of the spec."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ticketlab.errors import SpecError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.spec.identity import without_effect
from ticketlab.spec.language import every_path, place_at
from ticketlab.spec.overrides import path_of, setting
from ticketlab.spec.positions import Path, Positions
from ticketlab.spec.quoting import code
from ticketlab.spec.wording import closest

MOST_CELLS = 10_000

TAGS = ("method", "kind", "objective")
"""Keys whose value names a whole section in the name of a cell."""

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.+_-")


@dataclass(frozen=True)
class RawCell:
    """One combination: the value at each path of the matrix, and the raw spec with them in place and no matrix."""

    labels: dict[str, Any]
    name: str
    data: dict[str, Any]
    positions: Positions


def cells(data: dict[str, Any], positions: Positions) -> Iterator[RawCell]:
    """The cells in the order of the file, the last axis fastest; the spec itself if there is no matrix.

    Refuses (SpecError) a matrix that is no mapping of paths to lists, paths the language does not have or that do not
    affect results, equal values on one axis, and more than `MOST_CELLS` cells, all before any cell is made.
    """
    axes = _axes(data, positions)
    page = {key: value for key, value in data.items() if key != "matrix"}
    outer_first = sorted(axes, key=lambda axis: axis.count("."))
    names: set[str] = set()
    for indices in itertools.product(*(range(len(values)) for values in axes.values())):
        chosen = dict(zip(axes, indices, strict=True))
        cell = page
        for axis in outer_first:
            where = positions.where(("matrix", axis, chosen[axis]))
            cell = setting(cell, path_of(axis), axes[axis][chosen[axis]], where)
        labels = {axis: axes[axis][index] for axis, index in chosen.items()}
        borrowed: dict[Path, Path] = {path_of(axis): ("matrix", axis, index) for axis, index in chosen.items()}
        name = cell_name(labels)
        name = f"{name}-{_hash(labels)}" if name in names else name
        names.add(name)
        yield RawCell(labels, name, cell, positions.borrowing(borrowed))


def _axes(data: dict[str, Any], positions: Positions) -> dict[str, list[Any]]:
    matrix = data.get("matrix", {})
    if not isinstance(matrix, dict):
        raise SpecError(
            "matrix: not a mapping",
            where=positions.where(("matrix",)),
            mend="write paths and their values, such as `seed: [0, 1, 2]`",
        )
    for axis, values in matrix.items():
        _check_path(axis, positions)
        _check_values(axis, values, positions)
    count = math.prod(map(len, matrix.values()))
    if count > MOST_CELLS:
        sizes = " x ".join(str(len(values)) for values in matrix.values())
        raise SpecError(
            f"matrix: {sizes} = {count:,} cells; at most {MOST_CELLS:,} are allowed",
            where=positions.where(("matrix",), key=True),
            mend="shorten an axis, or split the spec",
        )
    return matrix


def _check_path(axis: str, positions: Positions) -> None:
    where = positions.where(("matrix", axis), key=True)
    path = path_of(axis)
    if axis in without_effect() or axis == "spec_version" or path[0] == "matrix":
        raise SpecError(
            f"matrix: {code(axis)} cannot be varied, its cells would be the same experiment",
            where=where,
            mend="remove the line",
        )
    if place_at(path, {}) is None:
        near = closest(axis, every_path())
        raise SpecError(
            f"matrix: the spec has no {code(axis)}",
            where=where,
            mend=f"did you mean {code(near)}?" if near else "write a path such as `data.ratio`",
        )


def _check_values(axis: str, values: Any, positions: Positions) -> None:
    if not isinstance(values, list) or not values:
        raise SpecError(
            f"matrix.{axis}: not a list of at least one value",
            where=positions.where(("matrix", axis)),
            mend=f"write `{axis}: [...]`",
        )
    seen: dict[bytes, int] = {}
    for index, value in enumerate(values):
        first = seen.setdefault(_spelt(value), index)
        if first != index:
            raise SpecError(
                f"matrix.{axis}: the same value as number {first + 1}",
                where=positions.where(("matrix", axis, index)),
                mend="remove one of the two",
            )


def _spelt(value: Any) -> bytes:
    """One spelling for equal values: 1 and 1.0 are one number."""
    whole = isinstance(value, float) and value.is_integer()
    return canonical_json(int(value) if whole else value)


def cell_name(labels: dict[str, Any]) -> str:
    """The name of a cell, safe in file names: `seed-0_data.ratio-0.1`; at most 100 characters; empty without a matrix.

    Sections are named by their method, kind or objective; what a name leaves out is told apart by a short hash.
    """
    name = "_".join(f"{axis}-{word}" for axis, word in cell_words(labels).items())
    return name if len(name) <= 100 else f"{name[:91]}-{_hash(labels)}"


def cell_words(labels: Mapping[str, Any]) -> dict[str, str]:
    """What the name of a cell calls the value of each axis: `0.1`, `px-fb513d1d`."""
    return {axis: _word(value) for axis, value in labels.items()}


def _word(value: Any) -> str:
    if isinstance(value, list):
        text = "+".join(map(_word, value))
    elif isinstance(value, dict):
        text = next((value[key] for key in TAGS if isinstance(value.get(key), str)), "")
    else:
        text = value if isinstance(value, str) else canonical_json(value).decode()
    word = "".join(letter if letter in _SAFE else "-" for letter in text)[:32]
    whole = word == text and (len(value) == 1 if isinstance(value, dict) else bool(text))
    return word if whole else f"{word.strip('-')}-{_hash(value)}".lstrip("-")


def _hash(value: Any) -> str:
    return sha256_bytes(canonical_json(value))[:8]
