"""Controls: masks that share a ticket's layer densities and nothing else, and never are that ticket."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from ticketlab.tickets.mask import Mask

if TYPE_CHECKING:
    from ticketlab.randomness import Key


def random_like(mask: Mask, key: Key) -> Mask:
    """A mask drawn afresh, knowing only how many weights each layer of `mask` keeps: exactly as many in every layer.

    A layer of n weights, k kept, is uniform over the C(n, k) - 1 choices that differ from the ticket's; where 0 < k < n
    it therefore always differs. (A draw hits the ticket's choice with probability 1 / C(n, k), and is then repeated
    with the next key.) A full or an empty layer has no other choice and stays.
    """

    def draw(kept: Tensor, source: Generator) -> Tensor:
        chosen = torch.zeros(kept.numel(), dtype=torch.bool)
        chosen[torch.randperm(kept.numel(), generator=source)[: int(kept.count_nonzero())]] = True
        return chosen.reshape(kept.shape)

    return _drawn_until_different(mask, key.of("random"), draw)


def shuffled(mask: Mask, key: Key) -> Mask:
    """The ticket's own bits, permuted within each layer by a uniform permutation.

    For unstructured masks, the only ones there are, this has the same law as `random_like` (and the same guarantee to
    differ), but it is derived from the ticket's mask rather than drawn from its counts: it is the "shuffle" control of
    Tanaka et al. 2020, arXiv 2006.05467, whose released code leaves the mask as it was.
    """

    def draw(kept: Tensor, source: Generator) -> Tensor:
        return kept.reshape(-1)[torch.randperm(kept.numel(), generator=source)].reshape(kept.shape)

    return _drawn_until_different(mask, key.of("shuffled"), draw)


def _drawn_until_different(mask: Mask, key: Key, draw: Callable[[Tensor, Generator], Tensor]) -> Mask:
    layers: dict[str, Tensor] = {}
    for name, kept in mask.items():
        if kept.all() or not kept.any():
            layers[name] = kept
            continue
        draws = (draw(kept, key.of(name, attempt).generator()) for attempt in count())
        layers[name] = next(drawn for drawn in draws if not torch.equal(drawn, kept))
    return Mask(layers)
