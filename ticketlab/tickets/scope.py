"""Which layers share a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ticketlab.spec.ticket import LayerKind


def network_of(layer: str) -> str:
    """The network that a layer belongs to: `generator` of `generator.block2.c1.weight`."""
    return layer.partition(".")[0]


def groups(kinds: Mapping[str, LayerKind], scope: Literal["global", "layer"], by_kind: bool) -> list[tuple[str, ...]]:
    """The groups of layers that share a threshold, in order of first appearance; together they hold each layer once.

    `global` is per network: a generator and a critic are never ranked against each other. With `by_kind`, conv and
    linear layers are never ranked against each other either. `layer` puts each layer alone.
    """
    together: dict[tuple[str, ...], list[str]] = {}
    for layer, kind in kinds.items():
        if scope == "layer":
            address: tuple[str, ...] = (layer,)
        else:
            address = (network_of(layer), kind) if by_kind else (network_of(layer),)
        together.setdefault(address, []).append(layer)
    return [tuple(layers) for layers in together.values()]
