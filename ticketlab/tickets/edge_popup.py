"""Edge-popup: a mask over frozen random weights, kept by scores that learn (Ramanujan et al. 2020, arXiv 1911.13299)."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scope import Budget, Layer, budgets, of_each_network
from ticketlab.tickets.select import highest_magnitudes
from ticketlab.tickets.worn import Bare, Wearing

if TYPE_CHECKING:
    from ticketlab.models.prunable import PrunableWeight
    from ticketlab.randomness import Key
    from ticketlab.spec.ticket import EdgePopup


def wearing(
    options: EdgePopup, networks: Mapping[str, nn.Module], weights: Mapping[str, PrunableWeight], steps: int, key: Key
) -> Wearing:
    """A mask search over the live `weights` of `networks`; initial scores are addressed by `key` and layer."""
    apart = of_each_network(weights)
    return Wearing(
        networks,
        {
            name: Searched(options, networks[name], {layer: weights[layer] for layer in layers}, key)
            for name, layers in apart.items()
        },
    )


def _budgets(options: EdgePopup, weights: Mapping[str, PrunableWeight]) -> list[Budget]:
    shapes = {layer: tuple(weight.parameter.shape) for layer, weight in weights.items()}
    layers = {layer: Layer(weights[layer].kind, shape, prod(shape)) for layer, shape in shapes.items()}
    return budgets(options.scope, layers, options.schedule, 1)


class Searched(Bare):
    """A network whose weights are frozen and whose scores learn.

    Forwards use w * m, m keeping the `density` share of highest |s| within the scope, ties by index. The
    gradient passes straight through the mask to |s|: dL/ds = dL/d(w m) * w * sign(s), for kept and pruned entries
    alike. Nothing but scores learns; running statistics of batch normalisation move as in any training.
    """

    def __init__(self, options: EdgePopup, network: nn.Module, weights: Mapping[str, PrunableWeight], key: Key) -> None:
        super().__init__(network)
        self._options = options
        self.optimizer = options.optimizer
        self._budgets = _budgets(options, weights)
        self._layers = {layer: weight.parameter for layer, weight in weights.items()}
        self._frozen = {layer: weight.detach().clone() for layer, weight in self._layers.items()}
        self._scores = {
            layer: nn.Parameter(self._initial(weight, key.of(layer))) for layer, weight in self._layers.items()
        }

    def _initial(self, weight: Tensor, key: Key) -> Tensor:
        draws = torch.rand(weight.shape, generator=key.generator(), dtype=torch.float32, device="cpu")
        # The layout of the weight, so that products with it are one pass over memory.
        return torch.empty_like(weight, dtype=torch.float32).copy_(
            draws.mul_(2).sub_(1).mul_(self._options.score_bound)
        )

    def learns(self) -> Mapping[str, nn.Parameter]:
        """The scores, by layer."""
        return self._scores

    @torch.no_grad()
    def put_on(self) -> None:
        """Give every layer its frozen weights, zero where the scores prune."""
        for layer, kept in self._kept().items():
            self._layers[layer].copy_(self._frozen[layer] * kept)

    @torch.no_grad()
    def after_backward(self, step: int) -> None:
        """Pass the gradients of the weights on to the scores."""
        for layer, score in self._scores.items():
            gradient = self._layers[layer].grad
            if gradient is not None:
                score.grad = gradient * self._frozen[layer] * score.sign()
        self.network.zero_grad(set_to_none=True)

    def after_step(self, step: int) -> None:
        """The scores have moved: so does the mask."""
        self.put_on()

    def state(self) -> dict[str, Tensor]:
        """The scores; the frozen weights are those the network was made with."""
        return {layer: score.detach() for layer, score in self._scores.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore the scores; `put_on` gives the network the mask they make."""
        for layer, score in self._scores.items():
            score.copy_(state[layer])

    def mask(self) -> Mask:
        """The mask of the scores as they are now."""
        return Mask({layer: kept.cpu() for layer, kept in self._kept().items()})

    def _kept(self) -> dict[str, Tensor]:
        """The mask on the device of the scores."""
        kept: dict[str, Tensor] = {}
        for budget in self._budgets:
            kept |= highest_magnitudes({layer: self._scores[layer] for layer in budget.layers}, budget.keep)
        return {layer: kept[layer] for layer in self._scores}
