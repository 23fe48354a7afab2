"""What an unquoted word of YAML 1.2 means (its core schema): null, true, false, a number, or text."""

from __future__ import annotations

import math
import re

LONGEST_NUMBER = 100
"""Characters; enough for any number a spec may hold, and cheap to convert."""

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")


class Unusable(Exception):
    """A scalar that no spec can use, and how to mend it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


def plain_scalar(text: str, *, plain: bool) -> bool | int | float | str | None:
    """The value of a scalar; `plain` is whether it stood without quotes.

    Dates, `yes`, `on` and `1_000` are text, `1e-4` and `.5` are numbers, `-0.0` is 0.0. NaN, infinity, numbers of
    over 100 characters or beyond the range of a double, and halves of surrogate pairs are refused (`Unusable`).
    """
    if plain and text in _WORDS:
        return _WORDS[text]
    if plain and text[:1] in "-+.0123456789":
        number = _number(text)
        if number is not None:
            return number
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Unusable("text with half of a surrogate pair", "write the whole character, or leave it out")
    return text


def _number(text: str) -> int | float | None:
    if _NOT_FINITE.match(text):
        raise Unusable(f"the number {text}", "write a finite number")
    whole = _DECIMAL.match(text) or _OCTAL.match(text) or _HEXADECIMAL.match(text)
    if not whole and not _FLOAT.match(text):
        return None
    if len(text) > LONGEST_NUMBER:
        raise Unusable(
            f"a number of {len(text):,} characters", f"write at most {LONGEST_NUMBER}, or quote it if it is text"
        )
    if _DECIMAL.match(text):
        return int(text)
    if whole:
        return int(text, 0)
    number = float(text)
    if math.isinf(number):
        raise Unusable(f"the number {text[:40]}, which is too large", "write a number below 1.8e308")
    return number + 0.0  # -0.0 and 0.0 are one value, and one identity
