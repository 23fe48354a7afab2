"""Sections inside sections: all of one class, and the whole with each of them replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from ticketlab.spec.section import Section

S = TypeVar("S", bound=Section)
V = TypeVar("V")


def within(value: Any, kind: type[S]) -> Iterator[S]:
    """Every section of a class in a value, itself first, at any depth of fields and tuples."""
    if isinstance(value, kind):
        yield value
    if isinstance(value, Section):
        for name in type(value).model_fields:
            yield from within(getattr(value, name), kind)
    elif isinstance(value, tuple):
        for part in value:
            yield from within(part, kind)


def replaced(value: V, kind: type[S], change: Callable[[S], S]) -> V:
    """The value with every section of a class changed, inner ones first; unchanged parts are the same objects."""
    found: Any = value
    if isinstance(value, Section):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        changed = {name: replaced(part, kind, change) for name, part in fields.items()}
        update = {name: part for name, part in changed.items() if part is not fields[name]}
        found = value.model_copy(update=update) if update else value
    elif isinstance(value, tuple):
        parts = tuple(replaced(part, kind, change) for part in value)
        found = parts if any(new is not old for new, old in zip(parts, value, strict=True)) else value
    return cast("V", change(found) if isinstance(found, kind) else found)
