"""The pickle inside a file of torch weights: which of its names, calls and states describe tensors and modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from ticketlab.inert_pickle import Name, RefusedError, Table, read
from ticketlab.models.stored_tensor import TYPES, Storage, StoredModule, StoredTensor, tensor_in

_MOST_INSTRUCTIONS = 2_000_000
_SCRIPTED = "__torch__"


def read_values(content: BinaryIO) -> Any:
    """What one pickle describes: texts, numbers, lists, tuples, dictionaries, `StoredTensor`, `StoredModule`.

    Dictionaries are plain, whether or not the pickle orders them. Reads from where `content` stands and leaves it after
    the pickle. RefusedError for any other name than those of such data, any other instruction than theirs, more than
    two million instructions.
    """
    return read(
        content,
        Table(
            is_name=lambda text: text in _CALLS or text in TYPES or text.startswith(_SCRIPTED),
            calls=_CALLS,
            keys=(str, int),
            instructions=_MOST_INSTRUCTIONS,
            state=_give_state,
            made=_module,
            outside=_Storages().described,
            literals={"BINFLOAT": float, "LONG1": _integer},
        ),
    )


def _integer(value: int) -> int:
    # Beyond 64 bits many integers share a hash, which a dictionary of them would suffer from.
    if not -(2**63) <= value < 2**63:
        raise RefusedError("an integer of more than 64 bits")
    return value


def _module(name: str, arguments: Any) -> StoredModule:
    """A TorchScript module; its class is not looked at."""
    if arguments != () or not name.startswith(_SCRIPTED):
        raise RefusedError("the making of something that is not a module")
    return StoredModule()


def _give_state(target: Any, state: Any) -> None:
    """Give a module its attributes; let go of the versions of its modules that a state dict remembers."""
    if type(state) is not dict or type(target) not in (dict, StoredModule):
        raise RefusedError("a state for something that is not a dictionary or a module")
    if type(target) is StoredModule:
        target.attributes.update((name, value) for name, value in state.items() if type(name) is str)


class _Storages:
    """The storages of one file, each described in one way only."""

    def __init__(self) -> None:
        self.known: dict[str, Storage] = {}

    def described(self, description: Any) -> Storage:
        found = _storage(description)
        if self.known.setdefault(found.key, found) != found:
            raise RefusedError("one storage is described in two ways")
        return found


def _storage(described: Any) -> Storage:
    if type(described) is not tuple or len(described) not in (5, 6) or described[5:] not in ((), (None,)):
        raise RefusedError("something outside the pickle that is not a storage")
    tag, name, key, place, count = described[:5]
    if tag != "storage" or type(name) is not Name or name.text not in TYPES:
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
