"""A row of a curve as a line of a journal, which says itself whether it is still what was written."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

_LINE = re.compile(rb'(\{.*), "crc32": "([0-9a-f]{8})"\}\n?', re.DOTALL)


def line_of(row: Mapping[str, Any]) -> bytes:
    """A row as a line of JSON with a newline; its last member is the CRC-32 of all bytes before it.

    A CRC finds every burst of up to 32 bits, so every flipped byte. ValueError for a number that is not finite.
    """
    return checked(json.dumps(row, allow_nan=False).encode())


def checked(content: bytes) -> bytes:
    """The text of a JSON object as a line with its checksum."""
    body = content[:-1]
    return body + b', "crc32": "%08x"}\n' % zlib.crc32(body)


def row_of(line: bytes) -> dict[str, Any] | None:
    """The row that `line_of` made the line from; None for a line that is not what was written."""
    found = _LINE.fullmatch(line)
    if found is None or int(found[2], 16) != zlib.crc32(found[1]):
        return None
    row: dict[str, Any] = json.loads(found[1] + b"}")
    return row
