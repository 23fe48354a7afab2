"""Pickles read as plain data: nothing is unpickled, nothing is imported, nothing is called.

The instructions are listed by `pickletools.genops`, which only parses, and carried out here on inert values. What a
kind of file may hold beside texts, numbers, lists, tuples and dictionaries stands in a table, where names are spellings.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO


class RefusedError(Exception):
    """Something that a table does not allow, or that no pickle of such data holds."""


@dataclass(frozen=True)
class Name:
    """A name the pickle mentions."""

    text: str


def _none(*_: Any) -> Any:
    raise RefusedError("something outside the pickle, or the making of an object, is not allowed")


def _no_state(target: Any, state: Any) -> None:
    raise RefusedError("a state is not allowed")


@dataclass(frozen=True)
class Table:
    """What a kind of pickle may hold, all of it decided by whoever reads such files; refusals are `RefusedError`.

    `is_name` says which names may be mentioned ("module name"), `calls` what stands for the call of a name with
    arguments, `made` for an object that is made of a class by its name and arguments, `state` what becomes of a state
    given to a value, `outside` what stands for a description of something beside the pickle. `literals` are
    instructions that carry a value, beyond the usual ones or in their place. Dictionaries have keys of the types
    `keys`; at most `instructions` are read.
    """

    is_name: Callable[[str], bool]
    calls: Mapping[str, Callable[..., Any]]
    keys: tuple[type, ...]
    instructions: int
    state: Callable[[Any, Any], None] = _no_state
    made: Callable[[str, Any], Any] = _none
    outside: Callable[[Any], Any] = _none
    literals: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


def read(content: BinaryIO, table: Table) -> Any:
    """The one value that a pickle of protocol 2 describes; reads from where `content` stands and leaves it after the pickle.

    RefusedError for anything that the table does not allow, for any instruction but those of plain data, and for a
    pickle that is damaged.
    """
    machine = _Machine(table)
    try:
        for position, (instruction, argument, _) in enumerate(pickletools.genops(content)):
            if position >= table.instructions:
                raise RefusedError(f"more than {table.instructions} instructions")
            machine.carry_out(instruction.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as problem:
        raise RefusedError(f"{type(problem).__name__} in the pickle: {str(problem)[:100]}") from None
    if len(machine.stack) != 1 or machine.marks:
        raise RefusedError("the pickle does not end in one value")
    return machine.stack[0]


class _Machine:
    """The pickle's stack and memo, holding only inert values."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.literals = {**_LITERALS, **table.literals}
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def carry_out(self, instruction: str, argument: Any) -> None:
        """Carry out one instruction; RefusedError if it is not one of the few."""
        if instruction in _CONSTANTS:
            self.stack.append(_CONSTANTS[instruction])
        elif instruction in self.literals:
            self.stack.append(self.literals[instruction](argument))
        elif instruction in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif instruction in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif instruction == "GLOBAL":
            self.name(argument)
        elif instruction in _ACTIONS:
            _ACTIONS[instruction](self)
        elif instruction != "STOP" and (instruction, argument) != ("PROTO", 2):
            raise RefusedError(f"instruction {instruction} is not allowed")

    def take(self) -> Any:
        """Take the top of the stack, which must lie above the last mark."""
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise RefusedError("a value is taken from below a mark")
        return self.stack.pop()

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
        items = [self.take() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise RefusedError("items for something that is not a list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2 or any(type(key) not in self.table.keys for key in items[::2]):
            allowed = " or ".join(dict.fromkeys(_WORDS[kind] for kind in self.table.keys))
            raise RefusedError(f"entries that are not those of a dictionary with {allowed} keys")
        target.update(zip(items[::2], items[1::2], strict=True))

    def name(self, text: str) -> None:
        """A name: only its spelling is looked at."""
        if not self.table.is_name(text):
            raise RefusedError(f"the name {text[:80]!r} is not allowed")
        self.stack.append(Name(text))

    def reduce(self) -> None:
        """What the table has in the place of a call."""
        arguments, name = self.take(), self.take()
        called = name.text if type(name) is Name else ""
        if called not in self.table.calls or type(arguments) is not tuple:
            raise RefusedError(f"a call of {called or 'something without a name'} is not allowed")
        self.stack.append(self.table.calls[called](*arguments))

    def make(self) -> None:
        """What the table has in the place of a new object of a class."""
        arguments, name = self.take(), self.take()
        if type(name) is not Name:
            raise RefusedError("the making of something without a name")
        self.stack.append(self.table.made(name.text, arguments))

    def build(self) -> None:
        """Give the value below a state that state."""
        state = self.take()
        self.table.state(self.stack[-1], state)

    def persistent(self) -> None:
        """What the table has in the place of something outside the pickle."""
        self.stack.append(self.table.outside(self.take()))


def _same(value: Any) -> Any:
    return value


_WORDS = {str: "text", bytes: "text", int: "integer"}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS: dict[str, Callable[[Any], Any]] = {
    "BININT": _same,
    "BININT1": _same,
    "BININT2": _same,
    "LONG1": _same,
    "BINUNICODE": _same,
}
_ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _Machine.mark,
    "EMPTY_LIST": _Machine.new_list,
    "EMPTY_DICT": _Machine.new_dictionary,
    "TUPLE": lambda machine: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "APPEND": lambda machine: machine.append([machine.take()]),
    "APPENDS": lambda machine: machine.append(machine.since_mark()),
    "SETITEM": lambda machine: machine.set_items([machine.take(), machine.take()][::-1]),
    "SETITEMS": lambda machine: machine.set_items(machine.since_mark()),
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.make,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
