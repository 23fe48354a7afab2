"""A mask: which weights of which layers are kept, exactly."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ticketlab.files import canonical_json

LAYER_NAME = re.compile(r"[\w-]+(\.[\w-]+)+", re.ASCII)
"""`<network>.<parameter name>`, e.g. `generator.block2.c1.weight`."""

Flags = np.ndarray[Any, np.dtype[np.bool_]]


def packed_bits(kept: Tensor) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """The bits of a bool tensor, 8 to a byte: flat (row-major) index i is bit i % 8, lowest first, of byte i // 8.

    The last byte is padded with zeros. The result has ceil(n / 8) bytes.
    """
    return np.packbits(kept.numpy().reshape(-1), bitorder="little")


class Mask(Mapping[str, Tensor]):
    """An immutable mapping of layer names to bool tensors on the CPU; True is kept.

    The order of the layers is the order in which ties are broken when the next mask is drawn. Two masks are equal if
    names, shapes and bits are; neither order nor layout counts. Tensors are copied in and copied out, layout and all.
    Raises TypeError for anything but bool tensors, ValueError for no layers, empty layers and names that are not
    `<network>.<parameter>`.
    """

    def __init__(self, layers: Mapping[str, Tensor]) -> None:
        if not layers:
            raise ValueError("a mask needs at least one layer")
        for name, kept in layers.items():
            if not LAYER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} does not name a layer: expected <network>.<parameter>")
            if not isinstance(kept, Tensor) or kept.dtype is not torch.bool:
                raise TypeError(f"{name}: a mask is a bool tensor, not {getattr(kept, 'dtype', type(kept).__name__)}")
            if kept.numel() == 0:
                raise ValueError(f"{name}: a layer without weights cannot be masked")
        self._layers = MappingProxyType(
            {name: torch.empty_like(kept, device="cpu").copy_(kept) for name, kept in layers.items()}
        )
        self._kept = {name: int(np.count_nonzero(kept.numpy().ravel("K"))) for name, kept in self._layers.items()}
        self._packed: dict[str, bytes] = {}

    @classmethod
    def dense(cls, shapes: Mapping[str, tuple[int, ...]]) -> Mask:
        """The mask of these shapes that keeps everything."""
        return cls({name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()})

    def __getitem__(self, name: str) -> Tensor:
        return self._layers[name].clone()

    def flags(self, name: str) -> Flags:
        """A layer to look at without a copy, in its shape and layout; it cannot be written."""
        seen = self._layers[name].numpy()
        seen.flags.writeable = False
        return seen

    def packed(self, name: str) -> bytes:
        """`packed_bits` of a layer, made once: a file has them, and a digest of them."""
        if name not in self._packed:
            self._packed[name] = packed_bits(self._layers[name]).tobytes()
        return self._packed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return self.shapes() == other.shapes() and all(
            torch.equal(kept, other._layers[name]) for name, kept in self._layers.items()
        )

    def __hash__(self) -> int:
        return hash(self.digest())

    def __repr__(self) -> str:
        return f"Mask({len(self)} layers, {self.kept} of {self.size} kept)"

    @property
    def size(self) -> int:
        """How many weights the mask speaks about."""
        return sum(kept.numel() for kept in self._layers.values())

    @property
    def kept(self) -> int:
        """How many weights are kept."""
        return sum(self._kept.values())

    @property
    def density(self) -> Fraction:
        """Share of the weights kept, exact, in [0, 1]; `float(mask.density)` for plots."""
        return Fraction(self.kept, self.size)

    def of_network(self, network: str) -> Mask | None:
        """The part of the mask on one network's layers; None if there is none."""
        layers = {name: kept for name, kept in self._layers.items() if name.partition(".")[0] == network}
        return Mask(layers) if layers else None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each layer."""
        return {name: tuple(kept.shape) for name, kept in self._layers.items()}

    def layer_kept(self) -> dict[str, int]:
        """How many weights each layer keeps."""
        return dict(self._kept)

    def layer_densities(self) -> dict[str, Fraction]:
        """Share of its weights that each layer keeps, exact, in [0, 1]."""
        return {name: Fraction(self._kept[name], kept.numel()) for name, kept in self._layers.items()}

    def within(self, other: Mask) -> bool:
        """Whether every weight kept here is kept in `other` too (nesting). ValueError if the layers differ."""
        if self.shapes() != other.shapes():
            raise ValueError("masks of different layers cannot be nested")
        return not any(bool((kept & ~other._layers[name]).any()) for name, kept in self._layers.items())

    def agreement(self, other: Mask) -> Fraction:
        """Share of the weights that both keep or both prune, exact, in [0, 1]. ValueError if the layers differ."""
        if self.shapes() != other.shapes():
            raise ValueError("masks of different layers cannot be compared")
        agreeing = sum(int((kept == other._layers[name]).count_nonzero()) for name, kept in self._layers.items())
        return Fraction(agreeing, self.size)

    def digest(self) -> str:
        """Canonical sha256 (hex) of names, shapes and bits, whatever the order of the layers and the file format."""
        names = sorted(self._layers)
        content = hashlib.sha256(b"ticketlab mask 1\n")
        content.update(canonical_json([[name, list(self._layers[name].shape)] for name in names]))
        for name in names:
            content.update(self.packed(name))
        return content.hexdigest()
