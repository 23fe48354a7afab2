"""The order in which the entries of a tensor lie in memory: looked at in it, any dense layout is one plain vector."""

from __future__ import annotations

from torch import Tensor


def memory_axes(tensor: Tensor) -> list[int]:
    """The axes from the longest stride to the shortest; permuted so, a dense tensor is contiguous."""
    return sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
