"""How networks wear a ticket while they learn: not at all, a mask that stays, or (in files of their own) one that changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.tickets.apply import MaskedWeights
from ticketlab.tickets.mask import Mask

if TYPE_CHECKING:
    from ticketlab.spec.train import Optimizer


class Bare:
    """A dense network: all its parameters learn, and nothing holds them. Other ways override what they change."""

    optimizer: Optimizer | None = None
    """What moves the things that learn; None is the optimiser that the objective has for the network."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def learns(self) -> Mapping[str, nn.Parameter]:
        """What the optimiser moves, by name."""
        return {name: parameter for name, parameter in self.network.named_parameters() if parameter.requires_grad}

    def put_on(self) -> None:
        """Make the network's weights what they are under the mask: before the first step, and after `load`."""

    def after_backward(self, step: int) -> None:
        """Turn the gradients of a backward pass into those of what learns."""

    def after_step(self, step: int) -> None:
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

    def after_backward(self, step: int) -> None:
        """Keep pruned weights out of moments and gradient norms."""
        self._held.mask_gradients()

    def after_step(self, step: int) -> None:
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


class Wearing:
    """How all networks of a training wear one ticket: each in its way (`worn`, by name; the others bare).

    A ticket that its training makes is one object over all networks: it hears what is measured on the way, adds to the
    curves, has a state of its own, and is finished at the end. Here, for a mask that stays, there is nothing to do.
    """

    def __init__(self, networks: Mapping[str, nn.Module], worn: Mapping[str, Bare] | None = None) -> None:
        self.worn: dict[str, Bare] = {name: Bare(network) for name, network in networks.items()} | dict(worn or {})

    def hear(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take note of what was measured after `step` steps; only tickets whose options say `hears` are told."""

    def row(self) -> Mapping[str, float]:
        """What the ticket adds to a row of the training's curves."""
        return {}

    def finish(self, trained: Mapping[str, nn.Module]) -> None:
        """After the last step, leave plain networks under a mask that stays: the live ones and their moving averages."""

    def state(self) -> dict[str, Tensor]:
        """All that `load` needs beside the states of the networks and of what they wear."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""

    def mask(self) -> Mask | None:
        """One mask over all networks that wear one; None where none does."""
        masks = [mask for bare in self.worn.values() if (mask := bare.mask()) is not None]
        return Mask({layer: mask[layer] for mask in masks for layer in mask}) if masks else None
