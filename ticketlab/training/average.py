"""The exponential moving average of a network, its batch-normalisation buffers included."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class MovingAverage:
    """A copy of a network that follows it: average = decay * average + (1 - decay) * current, after every step.

    Floating-point buffers are averaged like parameters, so the copy can be evaluated in eval mode as it is
    (averaging parameters alone leaves it with statistics of another network); integer buffers are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self._decay = decay
        self._pairs = _pairs(self.network, network)
        self._counters = [(mine, theirs) for mine, theirs in self._pairs if not mine.is_floating_point()]
        self._averaged = [mine for mine, _ in self._pairs if mine.is_floating_point()]
        self._current = [theirs for mine, theirs in self._pairs if mine.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Follow the network by one step."""
        torch._foreach_lerp_(self._averaged, self._current, 1.0 - self._decay)
        for mine, theirs in self._counters:
            mine.copy_(theirs)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a saved average, in place."""
        self.network.load_state_dict(state)


def _pairs(average: nn.Module, network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    current = network.state_dict(keep_vars=True)
    return [(mine, current[name].detach()) for name, mine in average.state_dict().items()]
