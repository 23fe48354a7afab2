"""Dropout whose draws have an address: each module's mask comes from a key that the training sets before every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ticketlab.randomness import Key


class KeyedDropout(nn.Module):
    """Any tensor -> the same shape: in training, each value is zero with chance `share`, else divided by 1 - share.

    `key` is the address of the draw: every forward under one key drops the same places. Eval mode changes nothing and
    needs no key. Source: Srivastava et al. 2014, scaled in training instead of afterwards.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.key: Key | None = None

    def forward(self, values: Tensor) -> Tensor:
        """The values, some of them dropped."""
        if not self.training or self.share == 0:
            return values
        return values * self._kept(values) / (1 - self.share)

    def _kept(self, values: Tensor) -> Tensor:
        """One where a value is kept, zero where it is dropped, in the values' own type."""
        assert self.key is not None, "a training sets the keys of its dropout before it goes forward"
        drawn = torch.rand(values.shape, generator=self.key.generator(), dtype=torch.float32, device="cpu")
        return (drawn >= self.share).to(values.device, values.dtype, non_blocking=True)

    def extra_repr(self) -> str:
        """What torch shows of the module."""
        return f"share={self.share}"


def set_keys(network: nn.Module, key: Key) -> None:
    """Give every dropout of the network the address `key`, each with its own name below it."""
    for name, layer in network.named_modules():
        if isinstance(layer, KeyedDropout):
            layer.key = key.of(name)
