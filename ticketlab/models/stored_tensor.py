"""Tensors and modules as a file of torch weights describes them: types, shapes, and where in which storage numbers lie."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from ticketlab.inert_pickle import RefusedError

_MOST_DIMENSIONS = 16
_LONGEST_NAME = 1000
_MOST_ATTRIBUTES = 100_000

TYPES = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}
"""Types of number by the name of their storage in a pickle."""


@dataclass(frozen=True)
class Storage:
    """A run of `count` numbers of one type, kept elsewhere in the file under `key`."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor by where its numbers lie in a storage: it begins at `offset`, and all of it is inside."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(eq=False)
class StoredModule:
    """A module of a TorchScript archive: its attributes by name, whatever its class."""

    attributes: dict[str, Any] = field(default_factory=dict)

    def tensors(self) -> dict[str, StoredTensor]:
        """The tensors of the module and those inside it, named as in a state dict.

        RefusedError for names of more than a thousand letters or more than 100,000 attributes, each counted as often
        as it is met: a module that contains itself has no end.
        """
        found: dict[str, StoredTensor] = {}
        waiting, budget = [("", self)], _MOST_ATTRIBUTES
        while waiting:
            path, module = waiting.pop()
            budget -= 1 + len(module.attributes)
            if budget < 0:
                raise RefusedError("modules that contain each other too often")
            for name, value in module.attributes.items():
                if len(path) + len(name) > _LONGEST_NAME:
                    raise RefusedError("modules that contain each other too deep")
                if type(value) is StoredTensor:
                    found[path + name] = value
                elif type(value) is StoredModule:
                    waiting.append((f"{path}{name}.", value))
        return found


def tensor_in(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> StoredTensor:
    """The tensor that a call of torch's rebuilding describes. RefusedError for one that is not inside its storage."""
    if type(storage) is not Storage or not _lengths((offset,)) or not _lengths(shape) or not _lengths(strides):
        raise RefusedError("a tensor without storage, offset, shape and strides")
    if len(shape) != len(strides) or len(shape) > _MOST_DIMENSIONS:
        raise RefusedError("a tensor whose shape and strides do not go together")
    numbers = math.prod(shape)
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if numbers and (last >= storage.count or numbers > storage.count):
        raise RefusedError("a tensor that is larger than its storage")
    return StoredTensor(storage, offset if numbers else 0, shape, strides)


def _lengths(values: Any) -> bool:
    return type(values) is tuple and all(type(value) is int and value >= 0 for value in values)
