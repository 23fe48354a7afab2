"""The endless order of a training: one keyed permutation after another, cut into batches."""

from __future__ import annotations

import torch
from torch import Tensor

from ticketlab.randomness import Key


class Order:
    """Passes through a fresh keyed order of `total` images in every epoch, `batch` at a time.

    Batch number n is the n-th stretch of the endless order, across the border of an epoch if need be.
    """

    def __init__(self, total: int, batch: int, key: Key, device: torch.device | str = "cpu") -> None:
        assert total > 0
        assert batch > 0
        self.total = total
        self.batch = batch
        self.key = key
        self.device = device
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def indices(self, number: int) -> Tensor:
        """Which images make up the batch of that number, int64 on the device; depends on nothing but key and number."""
        assert number >= 0
        begin, end = number * self.batch, (number + 1) * self.batch
        pieces = [
            self._order_of(epoch)[max(begin - epoch * self.total, 0) : end - epoch * self.total]
            for epoch in range(begin // self.total, (end - 1) // self.total + 1)
        ]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _order_of(self, epoch: int) -> Tensor:
        """The order of all images in an epoch; only the latest is kept."""
        if epoch != self._epoch:
            order = torch.randperm(self.total, generator=self.key.of("order", epoch).generator())
            self._order = order.to(self.device)
            self._epoch = epoch
        return self._order
