"""Dictionaries of lists, texts and uint8 arrays read out of a protocol-2 pickle as plain data: nothing is unpickled.

The pickle's instructions are listed by `pickletools.genops`, which only parses, and carried out here on inert values.
The four names that numpy's arrays need are recognised by spelling; nothing is imported and nothing is called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ticketlab.errors import DataError

_MOST_INSTRUCTIONS = 1_000_000


@dataclass(frozen=True)
class _Name:
    """A name the pickle mentions."""

    text: str


@dataclass
class PickledArray:
    """An array in the pickle; `values` is None until its content has been met."""

    values: np.ndarray[Any, np.dtype[np.uint8]] | None = None


_RECONSTRUCT = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_NDARRAY, _DTYPE, _ENCODE = "numpy ndarray", "numpy dtype", "_codecs encode"
_ALLOWED_NAMES = (*_RECONSTRUCT, _NDARRAY, _DTYPE, _ENCODE)
_BYTE_TYPE = _Name("numpy dtype u1")


class _RefusedError(Exception):
    """An instruction outside the few that are carried out."""


def read_dictionary(content: bytes, where: str) -> dict[str, Any]:
    """The dictionary a pickle describes, its keys as text and its arrays as `PickledArray`.

    DataError for anything but a dictionary, for any other name than numpy's, any other instruction than those of
    such data, more than a million instructions, or bytes after the end.
    """
    machine = _Machine(budget=len(content))
    end = 0
    try:
        for position, (instruction, argument, offset) in enumerate(pickletools.genops(content)):
            if position >= _MOST_INSTRUCTIONS:
                raise _RefusedError(f"more than {_MOST_INSTRUCTIONS} instructions")
            machine.carry_out(instruction.name, argument)
            end = (offset or 0) + 1
        if end != len(content):
            raise _RefusedError("bytes after its end")
        return _with_text_keys(machine.stack)
    except (_RefusedError, ValueError, IndexError, KeyError, TypeError, OverflowError) as problem:
        reason = str(problem)[:200] or type(problem).__name__
        raise DataError(f"not a batch of images in the python layout: {reason}", where=where) from None


class _Machine:
    """The pickle's stack and memo, holding only inert values."""

    def __init__(self, budget: int) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.budget = budget

    def carry_out(self, instruction: str, argument: Any) -> None:
        """Carry out one instruction; _RefusedError if it is not one of the few."""
        if instruction in _CONSTANTS:
            self.stack.append(_CONSTANTS[instruction])
        elif instruction in _ARGUMENTS:
            self.stack.append(_ARGUMENTS[instruction](argument))
        elif instruction in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif instruction in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif instruction in _ACTIONS:
            _ACTIONS[instruction](self)
        elif instruction != "STOP" and (instruction, argument) != ("PROTO", 2):
            raise _RefusedError(f"instruction {instruction} is not allowed")

    def since_mark(self) -> list[Any]:
        """Take everything above the last mark, and forget the mark."""
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def new_list(self) -> None:
        self.stack.append([])

    def new_dictionary(self) -> None:
        self.stack.append({})

    def tuple_of(self, count: int) -> None:
        items = [self.stack.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def tuple_since_mark(self) -> None:
        self.stack.append(tuple(self.since_mark()))

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise _RefusedError("items for something that is not a list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2 or any(type(key) not in (str, bytes) for key in items[::2]):
            raise _RefusedError("entries that are not those of a dictionary with text keys")
        target.update(zip(items[::2], items[1::2], strict=True))

    def reduce(self) -> None:
        """Recognise the three calls of an array's pickle: empty array, byte type, bytes spelled as text."""
        arguments, name = self.stack.pop(), self.stack.pop()
        called = name.text if type(name) is _Name else ""
        if called in _RECONSTRUCT and arguments == (_Name(_NDARRAY), (0,), b"b"):
            self.stack.append(PickledArray())
        elif called == _DTYPE and arguments in (("u1", False, True), (b"u1", False, True)):
            self.stack.append(_BYTE_TYPE)
        elif called == _ENCODE and len(arguments) == 2 and type(arguments[0]) is str and arguments[1] == "latin1":
            self.budget -= len(arguments[0])
            if self.budget < 0:
                raise _RefusedError("more bytes than the file holds")
            self.stack.append(arguments[0].encode("latin-1"))
        else:
            raise _RefusedError(f"a call of {called or 'something'} is not allowed")

    def build(self) -> None:
        """Recognise the state of a byte type (nothing to keep) and of an array (shape and content)."""
        state, target = self.stack.pop(), self.stack[-1]
        if target is _BYTE_TYPE:
            return
        if type(target) is not PickledArray or target.values is not None:
            raise _RefusedError("a state for something that is not an array")
        _, shape, byte_type, column_major, content = state
        if byte_type is not _BYTE_TYPE or column_major != 0 or type(content) is not bytes:
            raise _RefusedError("an array that is not of bytes in row-major order")
        if type(shape) is not tuple or any(type(length) is not int or length < 0 for length in shape):
            raise _RefusedError("an array whose shape is not a tuple of lengths")
        target.values = np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _latin(text: str) -> bytes:
    return text.encode("latin-1")


def _same(value: Any) -> Any:
    return value


def _allowed_name(text: str) -> _Name:
    if text not in _ALLOWED_NAMES:
        raise _RefusedError(f"the name {text!r} is not allowed")
    return _Name(text)


_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "BININT": _same,
    "BININT1": _same,
    "BININT2": _same,
    "LONG1": _same,
    "BINUNICODE": _same,
    "BINSTRING": _latin,
    "SHORT_BINSTRING": _latin,
    "GLOBAL": _allowed_name,
}
_ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _Machine.mark,
    "EMPTY_LIST": _Machine.new_list,
    "EMPTY_DICT": _Machine.new_dictionary,
    "TUPLE": _Machine.tuple_since_mark,
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "APPEND": lambda machine: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine: machine.append(machine.since_mark()),
    "SETITEM": lambda machine: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine: machine.set_items(machine.since_mark()),
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}


def _with_text_keys(stack: list[Any]) -> dict[str, Any]:
    """The one dictionary left on the stack, byte keys read as text."""
    if len(stack) != 1 or type(stack[0]) is not dict:
        raise _RefusedError("it is not one dictionary")
    return {key.decode("latin-1") if type(key) is bytes else key: value for key, value in stack[0].items()}
