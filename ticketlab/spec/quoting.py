"""Showing what somebody wrote: on one line, shortened, and harmless to any terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def printable(text: str) -> str:
    """Text that any terminal can show on one line: control characters and broken bytes as escapes."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def code(text: str, width: int = 40) -> str:
    """Text between backticks, printable, at most `width` characters of it."""
    text = printable(text)
    return f"`{text}`" if len(text) <= width else f"`{text[: width - 3]}...`"


def listed(names: Iterable[Any], most: int = 12) -> str:
    """Names between backticks with commas, the first `most` of them."""
    every = [code(str(name)) for name in names]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")
