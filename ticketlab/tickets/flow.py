"""A network whose paths are summed round after round: what masks take away is zeroed where it lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ticketlab.models.conditional import classes_told
from ticketlab.models.spectral import SpectralLayer
from ticketlab.tickets.layout import memory_axes
from ticketlab.tickets.mask import Flags, Mask
from ticketlab.tickets.paths import Linear
from ticketlab.tickets.probed import own_name


class Flow:
    """A private network that carries the factors on its paths as its own parameters and buffers.

    `state` gives them by name, made of the network under `mask`; `layers` are those whose weights are scored. `classes`
    is how many labels the network is told apart, None for one that is told none.
    """

    def __init__(self, network: nn.Module, state: Mapping[str, Tensor], layers: Iterable[str], mask: Mask) -> None:
        self._network = network
        self.classes = classes_told(network.modules())
        own: dict[str, Tensor] = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        with torch.no_grad():
            for name, value in state.items():
                own[name].copy_(value)
        network.requires_grad_(False)
        self.factors = {layer: own[own_name(layer)].requires_grad_() for layer in layers}
        self._mask = mask
        self._divided = any(isinstance(module, SpectralLayer) for module in network.modules())

    def under(self, mask: Mask) -> bool:
        """Put on a mask within the last one; False if that is not enough, and the flow must be made anew.

        It is not if weights come back, or if layers are divided by spectral norms, which depend on the mask.
        """
        if self._divided:
            return False
        with torch.no_grad():
            for layer, factor in self.factors.items():
                if not _zero(factor, self._mask.flags(layer), mask.flags(layer)):
                    return False
        self._mask = mask
        return True

    def outputs(self, *inputs: Tensor) -> Tensor:
        """What comes out, before a last tanh."""
        with Linear():
            flowing: Tensor = self._network(*inputs)
        return flowing

    def slopes(self, *inputs: Tensor) -> list[Tensor]:
        """The derivatives of the sum of all outputs in the factors, in new memory. One forward and one backward pass."""
        total = self.outputs(*inputs).sum()
        return list(torch.autograd.grad(total, list(self.factors.values()), materialize_grads=True))


def _zero(factor: Tensor, before: Flags, after: Flags) -> bool:
    """Zero the factors that `before` keeps and `after` does not; False, and nothing is done, if `after` keeps others."""
    axes = memory_axes(factor)
    kept = after.transpose(axes).reshape(-1)
    places = np.flatnonzero(before.transpose(axes).reshape(-1) != kept)
    if kept[places].any():
        return False
    flat = factor.detach().permute(axes).view(-1)
    flat.index_fill_(0, torch.from_numpy(places).to(flat.device), 0.0)
    return True
