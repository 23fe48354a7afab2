"""What a ticket leaves of each layer, what that costs, and of which layers nothing is left, with the round it came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ticketlab.errors import CorruptFile
from ticketlab.files import parse_json, write_listing
from ticketlab.tickets.draw import layer_collapse
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scope import of_each_network

FILE = "layers.json"
"""Beside every ticket that a step writes."""

IN_TRAINING = 0
"""The round of a layer that a training emptied and no round of drawing."""


@dataclass(frozen=True)
class Layers:
    """Weights and kept weights of every layer, in the mask's order, and the round in which each empty one died.

    `dense_multiply_adds`: of every convolution and linear layer of the networks, masked or not, in one forward of one
    image (`models.cost.layer_multiply_adds`); nothing where they are not known.
    """

    weights: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)
    collapsed: Mapping[str, int] = field(default_factory=dict)
    dense_multiply_adds: Mapping[str, int] = field(default_factory=dict)

    def after(self, mask: Mask, round: int) -> Layers:
        """These layers under the mask of `round`: what was dead before it keeps the round it died in."""
        sizes = {layer: one.numel() for layer, one in mask.items()}
        collapsed = {layer: self.collapsed.get(layer, round) for layer in layer_collapse(mask)}
        return replace(self, weights=sizes, kept=mask.layer_kept(), collapsed=collapsed)

    def died_in(self, round: int) -> tuple[str, ...]:
        """The layers that died in a round, in the mask's order."""
        return tuple(layer for layer, when in self.collapsed.items() if when == round)

    @property
    def densities(self) -> dict[str, float]:
        """Share of the weights kept, by layer."""
        return {layer: self.kept[layer] / count for layer, count in self.weights.items()}

    @property
    def multiply_adds(self) -> dict[str, int]:
        """Those of each layer at its density; a layer that the mask leaves out is dense. Biases are not counted."""
        # A weight is used once for each place of the output, so a layer's count is a multiple of its weights.
        return {
            layer: count // self.weights[layer] * self.kept[layer] if layer in self.weights else count
            for layer, count in self.dense_multiply_adds.items()
        }

    @property
    def network_multiply_adds(self) -> dict[str, tuple[int, int]]:
        """Of each network, in one forward of one image: those of the ticket, those of the dense network."""
        kept = self.multiply_adds
        return {
            network: (sum(kept[layer] for layer in own), sum(self.dense_multiply_adds[layer] for layer in own))
            for network, own in of_each_network(kept).items()
            if any(self.dense_multiply_adds[layer] for layer in own)
        }

    def write(self, path: Path) -> None:
        """Write them as JSON, in the mask's order."""
        shares = self.densities
        layers = {
            layer: {"weights": count, "kept": self.kept[layer], "density": shares[layer]}
            for layer, count in self.weights.items()
        }
        costs = {
            layer: {"dense": self.dense_multiply_adds[layer], "kept": count}
            for layer, count in self.multiply_adds.items()
        }
        write_listing(path, {"layers": layers, "collapsed": dict(self.collapsed), "multiply_adds": costs})

    @classmethod
    def read(cls, path: Path) -> Layers:
        """What `write` wrote. CorruptFile for anything else."""
        try:
            found: dict[str, Any] = parse_json(path.read_bytes())
            layers = {str(layer): (int(one["weights"]), int(one["kept"])) for layer, one in found["layers"].items()}
            collapsed = {str(layer): int(round) for layer, round in found["collapsed"].items()}
            costs = {str(layer): int(one["dense"]) for layer, one in found["multiply_adds"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as problem:
            raise CorruptFile(f"not the layers of a ticket ({type(problem).__name__})", where=str(path)) from None
        weights = {layer: count for layer, (count, _) in layers.items()}
        return cls(weights, {layer: kept for layer, (_, kept) in layers.items()}, collapsed, costs)
