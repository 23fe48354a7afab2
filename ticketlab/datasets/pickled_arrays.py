"""Dictionaries of lists, texts and uint8 arrays in a protocol-2 pickle: which names, calls and states describe arrays."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from ticketlab.errors import DataError
from ticketlab.inert_pickle import Name, RefusedError, Table, read

_MOST_INSTRUCTIONS = 1_000_000


@dataclass
class PickledArray:
    """An array in the pickle; `values` is None until its content has been met."""

    values: np.ndarray[Any, np.dtype[np.uint8]] | None = None


_RECONSTRUCT = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_NDARRAY, _DTYPE, _ENCODE = "numpy ndarray", "numpy dtype", "_codecs encode"
_ALLOWED_NAMES = (*_RECONSTRUCT, _NDARRAY, _DTYPE, _ENCODE)
_BYTE_TYPE = Name("numpy dtype u1")


def read_dictionary(content: bytes, where: str) -> dict[str, Any]:
    """The dictionary a pickle describes, its keys as text and its arrays as `PickledArray`.

    DataError for anything but a dictionary, for any other name than numpy's, any other instruction than those of
    such data, more than a million instructions, or bytes after the end.
    """
    stream = io.BytesIO(content)
    try:
        found = _with_text_keys(read(stream, _table(len(content))))
        if stream.read(1):
            raise RefusedError("bytes after its end")
    except RefusedError as problem:
        raise DataError(f"not a batch of images in the python layout: {str(problem)[:200]}", where=where) from None
    return found


def _table(budget: int) -> Table:
    """What such a pickle may hold; texts that spell bytes are together no longer than the file, `budget` bytes."""
    return Table(
        is_name=_ALLOWED_NAMES.__contains__,
        calls={
            **dict.fromkeys(_RECONSTRUCT, _empty_array),
            _DTYPE: _byte_type,
            _ENCODE: _Spelled(budget).encoded,
        },
        keys=(str, bytes),
        instructions=_MOST_INSTRUCTIONS,
        state=_give_state,
        literals={"BINSTRING": _latin, "SHORT_BINSTRING": _latin},
    )


def _empty_array(*arguments: Any) -> PickledArray:
    if arguments != (Name(_NDARRAY), (0,), b"b"):
        raise _refused_call(_RECONSTRUCT[0])
    return PickledArray()


def _byte_type(*arguments: Any) -> Name:
    if arguments not in (("u1", False, True), (b"u1", False, True)):
        raise _refused_call(_DTYPE)
    return _BYTE_TYPE


class _Spelled:
    """Bytes that a pickle spells as text, `budget` of them at most."""

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def encoded(self, *arguments: Any) -> bytes:
        if len(arguments) != 2 or type(arguments[0]) is not str or arguments[1] != "latin1":
            raise _refused_call(_ENCODE)
        self.budget -= len(arguments[0])
        if self.budget < 0:
            raise RefusedError("more bytes than the file holds")
        return _latin(arguments[0])


def _refused_call(name: str) -> RefusedError:
    return RefusedError(f"a call of {name} with such arguments is not allowed")


def _give_state(target: Any, state: Any) -> None:
    """Recognise the state of a byte type (nothing to keep) and of an array (shape and content)."""
    if target is _BYTE_TYPE:
        return
    if type(target) is not PickledArray or target.values is not None:
        raise RefusedError("a state for something that is not an array")
    _, shape, byte_type, column_major, content = state
    if byte_type is not _BYTE_TYPE or column_major != 0 or type(content) is not bytes:
        raise RefusedError("an array that is not of bytes in row-major order")
    if type(shape) is not tuple or any(type(length) is not int or length < 0 for length in shape):
        raise RefusedError("an array whose shape is not a tuple of lengths")
    target.values = np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _latin(text: str) -> bytes:
    return text.encode("latin-1")


def _with_text_keys(found: Any) -> dict[str, Any]:
    """A dictionary, its byte keys read as text."""
    if type(found) is not dict:
        raise RefusedError("it is not one dictionary")
    return {key.decode("latin-1") if type(key) is bytes else key: value for key, value in found.items()}
