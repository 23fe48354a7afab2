"""Reading YAML 1.2, in bounded time, as plain data that remembers where every key and value stood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ticketlab.errors import SpecError
from ticketlab.spec.positions import Mark, Path, Positions
from ticketlab.spec.yaml_nodes import DEEPEST, MOST_NODES, Node, Reader, too_much
from ticketlab.spec.yaml_syntax import refuse_tabs

LARGEST_FILE = 256 * 1024
"""Bytes; the scanner needs about a second for the worst file of this size."""


@dataclass(frozen=True)
class Page:
    """A spec as it was written: plain data, and where each piece of it stood."""

    data: dict[str, Any]
    positions: Positions


def read_page(content: bytes, file: str) -> Page:
    """The mapping that `content` spells; `file` is how errors name it.

    Refuses (SpecError with position) what is not UTF-8, not YAML, not one document, not a mapping; duplicate and
    non-string keys; tags, merge keys, directives; recursive aliases; NaN, infinity and numbers of over 100 characters;
    more than `LARGEST_FILE` bytes, `MOST_NODES` nodes or `DEEPEST` levels.
    """
    text = _decoded(content, file)
    root = Reader(text, file).document()
    if root is None or not isinstance(root.content, dict):
        empty = root is None or root.content is None
        mark = root.mark if root else Mark(1, 1)
        raise SpecError(
            "the file is empty" if empty else "the file is not a mapping of keys to values",
            where=f"{file}:{mark.line}:{mark.column}",
            mend="a spec starts with keys such as `name:`, `data:`, `model:`, `train:`",
        )
    writer = _Writer(file)
    data = writer.plain(root, ())
    return Page(data, Positions(file, writer.keys, writer.values))


def read_value(text: str, where: str) -> Any:
    """The value that `text` spells in YAML, of any kind; errors (SpecError) say `where`."""
    try:
        root = Reader(_decoded(text.encode("utf-8", "surrogatepass"), where), where).document()
        return None if root is None else _Writer(where).plain(root, ())
    except SpecError as problem:
        raise SpecError(problem.what, where=where, mend=problem.mend) from None


def _decoded(content: bytes, file: str) -> str:
    if len(content) > LARGEST_FILE:
        raise SpecError(
            f"the file has more than {LARGEST_FILE:,} bytes",
            where=f"{file}:1:1",
            mend="check that this is the file you meant",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        offset = len(content) - len(problem.object) + problem.start  # the codec does not count the byte order mark
        before = content[:offset]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        raise SpecError(
            f"not UTF-8: byte 0x{content[offset]:02x} at offset {offset} is not part of any character",
            where=f"{file}:{line}:{column}",
            mend="save the file as UTF-8",
        ) from None
    refuse_tabs(text, file)
    return text


class _Writer:
    """Writes nodes out as plain data, aliases included, and notes the place of each."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._nodes = 0
        self.keys: dict[Path, Mark] = {}
        self.values: dict[Path, Mark] = {}

    def plain(self, node: Node, path: Path) -> Any:
        """The node at `path` as dicts, lists and scalars."""
        self._nodes += 1
        if self._nodes > MOST_NODES or len(path) > DEEPEST:
            raise too_much(self._file, node.mark, len(path) > DEEPEST)
        self.values[path] = node.mark
        if isinstance(node.content, list):
            return [self.plain(item, (*path, index)) for index, item in enumerate(node.content)]
        if isinstance(node.content, dict):
            self.keys.update({(*path, key): mark for key, (mark, _) in node.content.items()})
            return {key: self.plain(value, (*path, key)) for key, (_, value) in node.content.items()}
        return node.content
