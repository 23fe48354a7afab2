"""The spec language as something to walk: what may stand at each path, told by the section classes themselves."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ticketlab.spec.positions import Path, dotted
from ticketlab.spec.section import Family, Section, is_name_enough
from ticketlab.spec.spec import Spec


class Kind(NamedTuple):
    """One kind of value that a place accepts: a type, a section or None, and the limits set on it."""

    type: Any
    limits: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Place:
    """What may stand at a path: the kinds of value, and the field it belongs to (the list's field for its items)."""

    kinds: tuple[Kind, ...]
    field: FieldInfo | None = None

    @property
    def about(self) -> str:
        """The field's description."""
        return (self.field.description or "") if self.field else ""

    @property
    def sections(self) -> tuple[type[Section], ...]:
        """The sections that may stand here."""
        return tuple(kind.type for kind in self.kinds if is_section(kind.type))

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of all literal kinds."""
        return tuple(value for kind in self.kinds if get_origin(kind.type) is Literal for value in get_args(kind.type))


ROOT = Place((Kind(Spec),))


def is_section(kind: Any) -> bool:
    """Whether a type is a section class."""
    return isinstance(kind, type) and issubclass(kind, Section)


def kinds_of(annotation: Any, limits: tuple[Any, ...] = ()) -> tuple[Kind, ...]:
    """The kinds of value an annotation accepts, unions and Annotated taken apart."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        found = [limit for item in more for limit in (item.metadata if isinstance(item, FieldInfo) else (item,))]
        return kinds_of(inner, (*limits, *found))
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(kind for member in get_args(annotation) for kind in kinds_of(member, limits))
    if isinstance(annotation, type) and issubclass(annotation, Family):
        return tuple(Kind(member, limits) for member in annotation.members())
    return (Kind(annotation, limits),)


def place_of(field: FieldInfo) -> Place:
    """What may stand at a field."""
    return Place(kinds_of(field.annotation, tuple(field.metadata)), field)


@cache
def tag_of(section: type[Section]) -> tuple[str, str] | None:
    """The key that tells a section from the others of its family, and its value there: ("method", "magnitude")."""
    for name, field in section.model_fields.items():
        values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        if len(values) == 1 and isinstance(values[0], str):
            return name, values[0]
    return None


def tag_key(place: Place) -> str | None:
    """The key by which the sections of a place are told apart, if there are several."""
    tags = [tag_of(section) for section in place.sections]
    return tags[0][0] if len(tags) > 1 and tags[0] else None


def tags(sections: Iterable[type[Section]]) -> list[str]:
    """The values by which the members of a family are told apart."""
    return [tag[1] for section in sections if (tag := tag_of(section))]


def names(place: Place) -> list[str]:
    """The members of a family that can stand at a place by their names alone."""
    return tags(filter(is_name_enough, place.sections)) if tag_key(place) else []


def fitting(place: Place, value: Any) -> tuple[Kind, ...]:
    """The kinds that a raw value can be meant as: sections by their tag for mappings, tuples for lists."""
    if isinstance(value, dict):
        sections = [kind for kind in place.kinds if is_section(kind.type)]
        meant = [kind for kind in sections if (tag := tag_of(kind.type)) and value.get(tag[0]) == tag[1]]
        return tuple(meant or sections or [kind for kind in place.kinds if get_origin(kind.type) is dict])
    if isinstance(value, list):
        return tuple(kind for kind in place.kinds if get_origin(kind.type) is tuple)
    return place.kinds


def inside(kind: Kind, step: str | int, around: Place) -> Place | None:
    """What may stand at a key or index inside a kind; None if there is no such place."""
    if is_section(kind.type):
        field = kind.type.model_fields.get(step)
        return place_of(field) if field else None
    members = get_args(kind.type)
    if get_origin(kind.type) is dict and isinstance(step, str):
        return Place(kinds_of(members[1]), around.field)
    if get_origin(kind.type) is tuple and isinstance(step, int):
        if len(members) == 2 and members[1] is ...:
            return Place(kinds_of(members[0]), around.field)
        return Place(kinds_of(members[step]), around.field) if step < len(members) else None
    return None


def place_at(path: Path, data: Any) -> Place | None:
    """What may stand at `path` of a spec whose raw values are `data`; None if the language has no such path.

    Tags in `data` narrow a family to one member; without them, whatever any member has there is accepted.
    """
    here = ROOT
    for step in path:
        found = [place for kind in fitting(here, data) if (place := inside(kind, step, here))]
        if not found:
            return None
        kinds: list[Kind] = []
        for kind in (kind for place in found for kind in place.kinds):
            if kind not in kinds:  # not every kind can be hashed
                kinds.append(kind)
        here = Place(tuple(kinds), found[0].field)
        data = child(data, step)
    return here


def child(value: Any, step: str | int) -> Any:
    """The value at a key or index; None where there is none."""
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


@cache
def every_field() -> tuple[tuple[Path, type[Section], FieldInfo], ...]:
    """All paths through mappings, each with a section and field it may lead to; lists are not entered."""
    return tuple(_fields(ROOT, ()))


def _fields(place: Place, path: Path) -> Iterator[tuple[Path, type[Section], FieldInfo]]:
    for section in place.sections:
        for name, field in section.model_fields.items():
            yield (*path, name), section, field
            yield from _fields(place_of(field), (*path, name))


def every_section() -> tuple[type[Section], ...]:
    """All sections that may stand anywhere in a spec, those inside lists included."""
    found: list[type[Section]] = []
    waiting = [ROOT]
    while waiting:
        place = waiting.pop()
        lists = [kind.type for kind in place.kinds if get_origin(kind.type) is tuple]
        waiting += [Place(kinds_of(item)) for each in lists for item in get_args(each) if item is not ...]
        new = [section for section in place.sections if section not in found]
        found += new
        waiting += [place_of(field) for section in new for field in section.model_fields.values()]
    return tuple(found)


def every_path() -> tuple[str, ...]:
    """All paths of the language, written with dots."""
    return tuple(dict.fromkeys(dotted(path) for path, _, _ in every_field()))


def homes(key: str) -> tuple[str, ...]:
    """The paths of the language that end in `key`, written with dots."""
    return tuple(path for path in every_path() if path.rpartition(".")[2] == key)
