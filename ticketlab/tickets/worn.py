"""How one network wears a mask while it learns: none, a fixed one, or (in files of their own) one that changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.tickets.apply import MaskedWeights

if TYPE_CHECKING:
    from ticketlab.tickets.mask import Mask


class Bare:
    """A dense network: all its parameters learn, and nothing holds them. Other ways override what they change."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def learns(self) -> Mapping[str, nn.Parameter]:
        """What the optimiser moves, by name."""
        return {name: parameter for name, parameter in self.network.named_parameters() if parameter.requires_grad}

    def put_on(self) -> None:
        """Make the network's weights what they are under the mask: before the first step, and after `load`."""

    def after_backward(self) -> None:
        """Turn the gradients of a backward pass into those of what learns."""

    def after_step(self) -> None:
        """Keep the mask's promise once the optimiser has moved what learns."""

    def state(self) -> dict[str, Tensor]:
        """All that `load` needs beside the network's own tensors."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state; the network has its saved tensors already."""

    def mask(self) -> Mask | None:
        """The mask as it is now; None where nothing is masked."""
        return None


class Fixed(Bare):
    """A network under a given mask: pruned weights are zero throughout. `layers` are its live weights by layer."""

    def __init__(self, network: nn.Module, layers: Mapping[str, Tensor], mask: Mask) -> None:
        super().__init__(network)
        self._mask = mask
        self._held = MaskedWeights(layers, mask)

    def put_on(self) -> None:
        """Set pruned weights to zero."""
        self._held.impose()

    def after_backward(self) -> None:
        """Keep pruned weights out of moments and gradient norms."""
        self._held.mask_gradients()

    def after_step(self) -> None:
        """Take back what momentum or weight decay moved."""
        self._held.impose()

    def mask(self) -> Mask:
        """The mask given."""
        return self._mask


class Still(Fixed):
    """A network under a given mask of which nothing learns; running statistics move, as when a mask is searched over it."""

    def learns(self) -> Mapping[str, nn.Parameter]:
        """Nothing."""
        return {}
