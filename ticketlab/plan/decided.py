"""What the class of a section decides beside its fields: its constants and properties, as values that a digest can hold."""

from __future__ import annotations

from typing import Any

from ticketlab.spec.section import Section

_WORDS = frozenset({"about", "source", "made_by", "model_config"})
"""Constants that are said to people, or named among the makers already."""


def decided(section: Section) -> dict[str, Any]:
    """The value of each by its name; the code that reads them does not have the class in its own source.

    Values are numbers, words, sections, and tuples or sets of numbers and words. What is of another kind, as the task
    of a model, is for planning, and so are methods: code that a step runs asks for neither.
    """
    names = (type(section).__class_vars__ | _properties(type(section))) - _WORDS
    found = {name: _plain(getattr(section, name, None)) for name in sorted(names)}
    return {name: value for name, value in found.items() if value is not None}


def _properties(kind: type[Section]) -> set[str]:
    """The public properties that a class of section has of its own or from other sections."""
    own = (vars(base).items() for base in kind.__mro__ if issubclass(base, Section))
    return {name for items in own for name, one in items if isinstance(one, property) and not name.startswith("_")}


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Section):
        return value.counting()
    if isinstance(value, tuple | frozenset) and all(isinstance(part, str | int | float) for part in value):
        return sorted(value) if isinstance(value, frozenset) else list(value)
    return None
