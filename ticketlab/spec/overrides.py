"""Changing a spec from the command line: `--set train.steps=100` sets one value before anything is checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ticketlab.errors import SpecError
from ticketlab.spec.language import Place, place_at, tag_key, tag_of, tags
from ticketlab.spec.positions import Path, dotted
from ticketlab.spec.quoting import code, printable
from ticketlab.spec.section import Section
from ticketlab.spec.wording import found
from ticketlab.spec.yaml_positions import Page, read_value


def overridden(page: Page, overrides: Iterable[str]) -> Page:
    """The page after each `path=value` in turn; values are YAML, paths are keys with dots between them.

    A list is replaced as a whole. `matrix.data.ratio=[0.1, 1]` sets an axis of the matrix, `matrix={}` removes it.
    SpecError for an override that cannot be read, or that the matrix would undo.
    """
    data, positions = page.data, page.positions
    for override in overrides:
        label = printable(f"--set {override}"[:100])
        written, equals, text = override.partition("=")
        path = path_of(written.strip())
        if not equals or not all(path):
            raise SpecError("not of the form path=value", where=label, mend="for example --set train.steps=100")
        _refuse_axis(data, path, label)
        data = setting(data, path, read_value(text, label), label)
        positions = positions.labelling(path, label)
    return Page(data, positions)


def path_of(written: str) -> Path:
    """The path that dots separate; what follows `matrix.` is one key."""
    if written.startswith("matrix."):
        return ("matrix", written.removeprefix("matrix."))
    return tuple(written.split("."))


def _refuse_axis(data: dict[str, Any], path: Path, label: str) -> None:
    axes = data.get("matrix")
    for axis in axes if isinstance(axes, dict) else ():
        if path[: axis.count(".") + 1] == path_of(axis):
            raise SpecError(
                f"the matrix sets {code(axis)} in every cell, so this would change nothing",
                where=label,
                mend=f"--set 'matrix.{printable(axis)}=[...]' sets the axis, --set 'matrix={{}}' removes the matrix",
            )


def setting(data: dict[str, Any], path: Path, value: Any, where: str) -> dict[str, Any]:
    """A copy of `data` with `value` at `path`; sections that are left out start from their defaults.

    SpecError, naming `where`, if something on the way is not a mapping.
    """
    return _set(data, path, value, (), data, where)


def _set(here: dict[str, Any], path: Path, value: Any, done: Path, data: dict[str, Any], where: str) -> dict[str, Any]:
    step, *rest = path
    assert isinstance(step, str), "paths of overrides and axes are keys"
    if not rest:
        return {**here, step: value}
    below = here.get(step)
    if below is None:
        below = _started(place_at((*done, step), data))
    if isinstance(below, str):
        below = _spelt_out(below, place_at((*done, step), data))
    if not isinstance(below, dict):
        raise SpecError(
            f"{code(dotted((*done, step)))} is {found(below)}, so it has no {code(dotted(tuple(rest)))}",
            where=where,
            mend=f"write {code(step)} as a mapping, or set it as a whole",
        )
    return {**here, step: _set(below, tuple(rest), value, (*done, step), data, where)}


def _spelt_out(name: str, place: Place | None) -> Any:
    """The mapping that the name of a family's member stands for; other text as it is."""
    key = tag_key(place) if place else None
    return {key: name} if key and place and name in tags(place.sections) else name


def _started(place: Place | None) -> dict[str, Any]:
    """The mapping a section starts from when only some of its keys are set: what is particular about its default."""
    default = place.field.default if place and place.field else None
    if isinstance(default, dict):
        return default
    if not isinstance(default, Section):
        return {}
    tag = tag_of(type(default))
    started = dict([tag] if tag else [])
    started.update(default.model_dump(mode="json", exclude_unset=True))
    return started
