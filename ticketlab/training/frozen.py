"""What of a network stands still while the rest of it learns: its last layer, its running statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn.modules.batchnorm import _NormBase

from ticketlab.models.prunable import last_layer

if TYPE_CHECKING:
    from torch import nn

    from ticketlab.spec.supervised import Supervised


@dataclass(frozen=True)
class Frozen:
    """Whether the layer that gives a network's outputs is frozen, and whether normalisation goes by running statistics."""

    last_layer: bool = False
    normalisation: bool = False

    @classmethod
    def of(cls, options: Supervised) -> Frozen:
        """What an objective freezes."""
        return cls(options.last_layer == "frozen", options.normalisation == "frozen")

    def hold(self, network: nn.Module) -> None:
        """Keep the weights of the last layer, if it is frozen, out of all that learns from now on."""
        if self.last_layer:
            for parameter in last_layer(network)[1].parameters(recurse=False):
                parameter.requires_grad_(False)

    def train(self, network: nn.Module) -> None:
        """Training mode, in which running statistics that are frozen are used and do not move."""
        network.train()
        for layer in network.modules() if self.normalisation else ():
            if isinstance(layer, _NormBase):
                layer.eval()
