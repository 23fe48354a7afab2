"""Keyed randomness: every draw has an address (seed, purpose, step), so nothing has to be remembered to repeat it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Key:
    """The address of one random draw.

    `Key(seed).of("noise", 17)` names the noise of step 17; two keys are equal exactly if their seed and path are.
    Draws are made on the CPU whatever the device, so another device sees the same numbers.
    """

    seed: int
    path: tuple[str | int, ...] = ()

    def of(self, *purpose: str | int) -> Key:
        """The key one level further down, e.g. `key.of("init", "block2.c1.weight")`."""
        return Key(self.seed, (*self.path, *purpose))

    def integer(self) -> int:
        """A number in [0, 2**63) that depends on the whole address (sha256 of its JSON form)."""
        address = json.dumps([self.seed, *self.path]).encode()
        return int.from_bytes(hashlib.sha256(address).digest()[:8], "big") >> 1

    def generator(self) -> torch.Generator:
        """A fresh CPU generator seeded with `integer()`; the same address always starts the same stream."""
        import torch

        return torch.Generator().manual_seed(self.integer())
