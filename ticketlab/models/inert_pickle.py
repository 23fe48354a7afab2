"""The pickle inside a file of torch weights read as plain data: nothing is unpickled.

Its instructions are listed by `pickletools.genops`, which only parses, and carried out here on inert values. The few
names that dictionaries of tensors need are recognised by spelling; nothing is imported and nothing is called.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ticketlab.models.stored_tensor import TYPES, RefusedError, Storage, StoredModule, StoredTensor, tensor_in

_MOST_INSTRUCTIONS = 2_000_000
_SCRIPTED = "__torch__"


@dataclass(frozen=True)
class _Name:
    """A name the pickle mentions."""

    text: str


def read_values(content: io.BytesIO) -> Any:
    """What one pickle describes: texts, numbers, lists, tuples, dictionaries, `StoredTensor`, `StoredModule`.

    Dictionaries are plain, whether or not the pickle orders them. Reads from where `content` stands and leaves it after
    the pickle. RefusedError for any other name than those of such data, any other instruction than theirs, more than
    two million instructions.
    """
    machine = _Machine()
    try:
        for position, (instruction, argument, _) in enumerate(pickletools.genops(content)):
            if position >= _MOST_INSTRUCTIONS:
                raise RefusedError(f"more than {_MOST_INSTRUCTIONS} instructions")
            machine.carry_out(instruction.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as problem:
        raise RefusedError(f"{type(problem).__name__} in the pickle") from None
    if len(machine.stack) != 1 or machine.marks:
        raise RefusedError("the pickle does not end in one value")
    return machine.stack[0]


class _Machine:
    """The pickle's stack and memo, holding only inert values."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def carry_out(self, instruction: str, argument: Any) -> None:
        """Carry out one instruction; RefusedError if it is not one of the few."""
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
        if type(target) is not dict or len(items) % 2 or any(type(key) not in (str, int) for key in items[::2]):
            raise RefusedError("entries that are not those of a dictionary with text or integer keys")
        target.update(zip(items[::2], items[1::2], strict=True))

    def reduce(self) -> None:
        """Recognise the calls of such data: an ordered dictionary, a tensor, a parameter."""
        arguments, name = self.take(), self.take()
        called = name.text if type(name) is _Name else ""
        if called not in _CALLS or type(arguments) is not tuple:
            raise RefusedError(f"a call of {called or 'something without a name'} is not allowed")
        self.stack.append(_CALLS[called](*arguments))

    def new_module(self) -> None:
        """Recognise the making of a TorchScript module; its class is not looked at."""
        arguments, name = self.take(), self.take()
        if arguments != () or type(name) is not _Name or not name.text.startswith(_SCRIPTED):
            raise RefusedError("the making of something that is not a module")
        self.stack.append(StoredModule())

    def build(self) -> None:
        """Give a module its attributes; let go of the versions of its modules that a state dict remembers."""
        state, target = self.take(), self.stack[-1]
        if type(state) is not dict or type(target) not in (dict, StoredModule):
            raise RefusedError("a state for something that is not a dictionary or a module")
        if type(target) is StoredModule:
            target.attributes.update((name, value) for name, value in state.items() if type(name) is str)

    def persistent(self) -> None:
        """Recognise the description of a storage."""
        found = _storage(self.take())
        if self.storages.setdefault(found.key, found) != found:
            raise RefusedError("one storage is described in two ways")
        self.stack.append(found)


def _storage(described: Any) -> Storage:
    if type(described) is not tuple or len(described) not in (5, 6) or described[5:] not in ((), (None,)):
        raise RefusedError("something outside the pickle that is not a storage")
    tag, name, key, place, count = described[:5]
    if tag != "storage" or type(name) is not _Name or name.text not in TYPES:
        raise RefusedError("a storage that is not of numbers")
    if type(key) is not str or type(place) is not str or type(count) is not int or count < 0:
        raise RefusedError("a storage without key, place and count")
    return Storage(key, TYPES[name.text], count)


def _parameter(tensor: Any, *_: Any) -> StoredTensor:
    if type(tensor) is not StoredTensor:
        raise RefusedError("a parameter that is not a tensor")
    return tensor


def _ordered(*entries: Any) -> dict[str, Any]:
    if entries:
        raise RefusedError("an ordered dictionary that does not start empty")
    return {}


def _listed(values: Any, *_: Any) -> Any:
    if type(values) not in (list, dict):
        raise RefusedError("a list that is not one")
    return values


def _same(value: Any) -> Any:
    return value


def _integer(value: int) -> int:
    # Beyond 64 bits many integers share a hash, which a dictionary of them would suffer from.
    if not -(2**63) <= value < 2**63:
        raise RefusedError("an integer of more than 64 bits")
    return value


def _allowed_name(text: str) -> _Name:
    if text not in _CALLS and text not in TYPES and not text.startswith(_SCRIPTED):
        raise RefusedError(f"the name {text[:80]!r} is not allowed")
    return _Name(text)


_CALLS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _ordered,
    "torch._utils _rebuild_tensor": tensor_in,
    "torch._utils _rebuild_tensor_v2": tensor_in,
    "torch._utils _rebuild_parameter": _parameter,
    "torch.jit._pickle build_intlist": _listed,
    "torch.jit._pickle build_doublelist": _listed,
    "torch.jit._pickle build_boollist": _listed,
    "torch.jit._pickle restore_type_tag": _listed,
}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "BININT": _same,
    "BININT1": _same,
    "BININT2": _same,
    "LONG1": _integer,
    "BINFLOAT": _same,
    "BINUNICODE": _same,
    "GLOBAL": _allowed_name,
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
    "NEWOBJ": _Machine.new_module,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
