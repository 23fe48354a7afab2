"""From a YAML file to checked specs: one for the page, and one for each cell of its matrix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ticketlab.errors import SpecError
from ticketlab.files import sha256_bytes
from ticketlab.spec.explain import MISSING, Problems, problems, spec_error
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.matrix import RawCell, cells
from ticketlab.spec.overrides import overridden
from ticketlab.spec.positions import Path as SpecPath
from ticketlab.spec.positions import Positions
from ticketlab.spec.quoting import listed, printable
from ticketlab.spec.spec import Spec
from ticketlab.spec.wording import closest
from ticketlab.spec.yaml_positions import LARGEST_FILE, Page, read_page


@dataclass(frozen=True)
class Cell:
    """One combination of the matrix: its values by path, its name (empty without a matrix), and its spec."""

    labels: dict[str, Any]
    name: str
    spec: Spec


@dataclass(frozen=True)
class LoadedSpec:
    """A spec file that was accepted.

    `spec` is the page as it was written, with its matrix; where the matrix gives a value, the page has the first one.
    `cells` are resolved and have no matrix. `data` are the raw values after overrides, `text_sha256` is of the file.
    """

    file: Path
    spec: Spec
    cells: tuple[Cell, ...]
    data: dict[str, Any]
    positions: Positions
    text_sha256: str


def as_written(spec: Spec) -> Spec:
    """Resolve nothing."""
    return spec


def load(path: Path, overrides: Iterable[str] = (), *, resolve: Callable[[Spec], Spec] = as_written) -> LoadedSpec:
    """Read, override, expand, check and resolve the spec at `path`.

    `overrides` are `path=value` texts. `resolve` is called once for each cell and may raise `Impossible`. Everything a
    user can have done wrong is a SpecError that says where.
    """
    content = _content(path)
    page = overridden(read_page(content, printable(str(path))), overrides)
    found: list[Cell] = []
    for raw in cells(page.data, page.positions):
        spec = _checked(raw.data, raw, len(found))
        found.append(Cell(raw.labels, raw.name, _resolved(spec, raw, resolve, len(found))))
        if len(found) == 1:
            first = _checked({**raw.data, "matrix": page.data.get("matrix", {})}, raw, 0)
            _refuse_hidden(page, tuple(raw.positions.borrowed))
    return LoadedSpec(path, first, tuple(found), page.data, page.positions, sha256_bytes(content))


def _checked(data: dict[str, Any], raw: RawCell, index: int) -> Spec:
    try:
        return Spec.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        concerned = {problem.path for problem in problems(error, data)}
        special = index > 0 or any(_overlap(path, axis) for path in concerned for axis in raw.positions.borrowed)
        raise spec_error(error, data, raw.positions, _cell_note(raw, index) if special else "") from None


def _resolved(spec: Spec, raw: RawCell, resolve: Callable[[Spec], Spec], index: int) -> Spec:
    try:
        return resolve(spec)
    except Impossible as problem:
        raise spec_error(problem, raw.data, raw.positions, _cell_note(raw, index)) from None


def _refuse_hidden(page: Page, axes: tuple[SpecPath, ...]) -> None:
    """Refuse values of the page that could not stand where they are, although the matrix replaces them in every cell."""
    try:
        Spec.model_validate_json(json.dumps(page.data), strict=True)
    except ValidationError as error:
        wrong = [problem for problem in problems(error, page.data) if problem.what != MISSING]
        hidden = [problem for problem in wrong if any(problem.path[: len(axis)] == axis for axis in axes)]
        if hidden:
            raise Problems(
                hidden, page.positions, "the matrix replaces it in every cell; still, mend or remove it"
            ) from None


def _overlap(path: SpecPath, other: SpecPath) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def _cell_note(raw: RawCell, index: int) -> str:
    return f"in cell {index + 1} of the matrix, {raw.name}" if raw.labels else ""


def _content(path: Path) -> bytes:
    """The bytes of the file, at most a little over what a spec may have; SpecError if there is no such file."""
    try:
        if path.is_file():
            with path.open("rb") as handle:
                return handle.read(LARGEST_FILE + 1)
        what = "this is a folder" if path.is_dir() else "not a file" if path.exists() else "there is no such file"
    except OSError as problem:
        what = f"cannot be read: {problem.strerror}"
    raise SpecError(what, where=printable(str(path)), mend=_nearby(path))


def _nearby(path: Path) -> str:
    """Specs that may have been meant."""
    try:
        folder = path if path.is_dir() else path.parent
        names = {file.name: file for file in sorted(folder.glob("*.y*ml"))[:200]}
    except OSError:
        return "check the path, and whether you may read it"
    near = closest(path.name, names)
    if near:
        return f"did you mean {printable(str(names[near]))}?"
    return f"specs there: {listed(names, most=6)}" if names else "give the path of a spec, a file ending in .yaml"
