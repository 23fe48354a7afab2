"""Controls: masks that share a ticket's layer densities and structure and nothing else, and never are that ticket."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ticketlab.tickets.mask import Mask
from ticketlab.tickets.structure import Structure, Weights

if TYPE_CHECKING:
    from ticketlab.randomness import Key

WEIGHTS = Weights()


def random_like(mask: Mask, key: Key, structure: Structure = WEIGHTS) -> Mask:
    """A random mask that keeps exactly as many weights as `mask` in every layer, in the same structure.

    For single weights, a layer of n weights, k kept, is uniform over the C(n, k) - 1 choices that differ from the
    ticket's; where 0 < k < n it therefore always differs. (A draw hits the ticket's choice with probability
    1 / C(n, k), and is then repeated with the next key.) A full or an empty layer has no other choice and stays.
    """
    return _permuted_until_different(mask, key.of("random"), structure)


def shuffled(mask: Mask, key: Key, structure: Structure = WEIGHTS) -> Mask:
    """The ticket's own bits, permuted within each layer by a uniform permutation of its weights, channels or groups.

    A random mask of equal counts has the same law; this is another draw of it, under the name it has in Tanaka et al.
    2020, arXiv 2006.05467, whose released code leaves the mask as it was.
    """
    return _permuted_until_different(mask, key.of("shuffled"), structure)


def _permuted_until_different(mask: Mask, key: Key, structure: Structure) -> Mask:
    layers: dict[str, Tensor] = {}
    for name, kept in mask.items():
        if kept.all() or not kept.any():
            layers[name] = kept
            continue
        draws = (structure.permuted(kept, key.of(name, attempt).generator()) for attempt in count())
        layers[name] = next(drawn for drawn in draws if not torch.equal(drawn, kept))
    return Mask(layers)
