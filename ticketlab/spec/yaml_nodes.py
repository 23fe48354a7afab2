"""The tree of values in a YAML text, made in bounded time; what no spec may hold is refused where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError

from ticketlab.errors import SpecError
from ticketlab.spec.positions import Mark
from ticketlab.spec.quoting import code
from ticketlab.spec.yaml_scalars import Unusable, plain_scalar
from ticketlab.spec.yaml_syntax import explained, place

MOST_NODES = 20_000
"""Keys, values and lists in a page, aliases written out."""

DEEPEST = 50
"""Mappings and lists inside each other."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value: `content` is a scalar, a list of nodes, or a mapping of keys to their mark and node."""

    mark: Mark
    content: Any


class Reader:
    """Turns the scanner's events into nodes, and its errors into ours."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._events: Iterator[Any] = YAML(typ="safe", pure=True, plug_ins=[]).parse(text)
        self._last = Mark(1, 1)
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0

    def document(self) -> Node | None:
        """The root of the only document; None if there is none."""
        root = None
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    raise self._refused("a second document starts here", "keep one spec per file; remove the `---`")
                if event.version or event.tags:
                    raise self._refused("a YAML directive", "remove the line that starts with `%`; specs are YAML 1.2")
                root = self._node(self._next(), 0)
        return root

    def _next(self) -> Any:
        try:
            event = next(self._events)
        except ReaderError as problem:
            before = self._text[: problem.position]
            self._last = Mark(before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
            raise self._refused(
                f"the character U+{ord(self._text[problem.position]):04X}, which no text holds", "delete it"
            ) from None
        except MarkedYAMLError as problem:
            self._last = place(problem) or self._last
            raise self._refused(*explained(problem, self._text, self._last)) from None
        except (YAMLError, ValueError, OverflowError) as problem:  # "\UFFFFFFFF" leaves the scanner as a ValueError
            raise self._refused(
                f"after this place, something that is not YAML: {problem}", "remove or quote it"
            ) from None
        if not isinstance(event, (DocumentEndEvent, StreamEndEvent)):
            self._last = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
        return event

    def _refused(self, what: str, mend: str, mark: Mark | None = None) -> SpecError:
        line, column = mark or self._last
        return SpecError(what, where=f"{self._file}:{line}:{column}", mend=mend)

    def _node(self, event: Any, depth: int) -> Node:
        mark = self._last
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > DEEPEST:
            raise too_much(self._file, mark, depth > DEEPEST)
        if isinstance(event, AliasEvent):
            return self._alias(event.anchor)
        if event.tag is not None:
            tag = code(event.tag.replace("tag:yaml.org,2002:", "!!"))
            raise self._refused(
                f"the tag {tag}", "remove it; specs hold plain values only (quote a value to make it text)"
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = Node(mark, self._content(event, depth))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, name: str) -> Node:
        if name not in self._anchors:
            raise self._refused(
                f"the alias {code(name)} of an anchor that does not exist",
                "write `&` and its name before its first use",
            )
        node = self._anchors[name]
        if node is None:
            raise self._refused(f"the alias {code(name)} inside its own anchor", "write the value out")
        return node

    def _content(self, event: Any, depth: int) -> Any:
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if isinstance(event, SequenceStartEvent):
            items = []
            while not isinstance(item := self._next(), SequenceEndEvent):
                items.append(self._node(item, depth + 1))
            return items
        assert isinstance(event, MappingStartEvent), event
        entries: dict[str, tuple[Mark, Node]] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            mark = self._last
            key = self._key(event, depth, entries)
            entries[key] = (mark, self._node(self._next(), depth + 1))
        return entries

    def _key(self, event: Any, depth: int, entries: dict[str, tuple[Mark, Node]]) -> str:
        mark = self._last
        if isinstance(event, ScalarEvent) and event.implicit[0] and event.value == "<<":
            raise self._refused("a merge key `<<`, which YAML 1.2 does not have", "write the merged keys out")
        key = self._node(event, depth + 1).content
        if not isinstance(key, str):
            raise self._refused("a key that is not text", "write keys as plain words, or quote them", mark)
        if key in entries:
            first = entries[key][0]
            raise self._refused(
                f"the key {code(key)} again; it was given first in line {first.line}", "keep one of the two", mark
            )
        return key

    def _scalar(self, event: Any) -> Any:
        try:
            return plain_scalar(event.value, plain=event.implicit[0])
        except Unusable as problem:
            raise self._refused(problem.what, problem.mend) from None


def too_much(file: str, mark: Mark, deep: bool) -> SpecError:
    """The error for a page beyond `MOST_NODES`, or if `deep`, beyond `DEEPEST`."""
    what = f"more than {DEEPEST} levels inside each other" if deep else f"more than {MOST_NODES:,} keys and values"
    return SpecError(
        what, where=f"{file}:{mark.line}:{mark.column}", mend="a spec is about a page; write less, or use fewer aliases"
    )
