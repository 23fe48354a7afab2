"""Regenerative pruning: masks that shrink under rising thresholds and regrow at once (RG-GAN, Saxena et al. 2024).

Each convolution and linear layer has a threshold per output unit. While pruning, a weight is used only if its magnitude
exceeds its unit's threshold; a weight that is not used keeps its value. Going dense therefore brings every weight back
as it was left, at no step of its own. Whether to prune or be dense is decided once for all networks after each
measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ticketlab.models.changed_weight import change_weight, settle, used_weight
from ticketlab.models.prunable import raw_weight
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scope import of_each_network
from ticketlab.tickets.worn import Bare, Wearing

if TYPE_CHECKING:
    from ticketlab.models.prunable import PrunableWeight
    from ticketlab.randomness import Key
    from ticketlab.spec.regenerative import Regenerative


def wearing(
    options: Regenerative,
    networks: Mapping[str, nn.Module],
    weights: Mapping[str, PrunableWeight],
    steps: int,
    key: Key,
) -> Regenerating:
    """Thresholds on the layers of all `weights`, starting at 0, in `networks`; nothing is drawn, so `key` is unused."""
    return Regenerating(options, networks, of_each_network(weights))


class Thresholds(nn.Module):
    """The change of one layer's weight: w where |w| > threshold of its output unit, else 0; w itself while dense."""

    def __init__(self, weight: Tensor, through: bool) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.zeros(len(weight), device=weight.device, dtype=weight.dtype))
        self.register_buffer("pruning", torch.ones((), dtype=torch.bool, device=weight.device))
        self._through = through

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the layer computes with."""
        kept = self.kept(weight)
        if not self._through:
            return weight * kept
        return cast("Tensor", _LongTailed.apply(weight, self.threshold, kept, self.pruning))

    @torch.no_grad()
    def kept(self, weight: Tensor) -> Tensor:
        """The mask of a weight (out, ...) as used, bool; equality and, while pruning, zeros are pruned."""
        return (weight.abs() > _per_unit(self.threshold, weight)) | ~cast("Tensor", self.pruning)


class _LongTailed(torch.autograd.Function):
    """w under a step of |w| - t, whose derivative is taken as 2 - 4|x|, 0.4 and 0 for |x| up to 0.4, up to 1, beyond.

    Liu et al. 2020, equation 4: dL/dw = g m + g w H'(x) sign(w), dL/dt of a unit = -sum g w H'(x). While dense the step
    is not there, and both are plain.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, threshold: Tensor, kept: Tensor, pruning: Tensor) -> Tensor:
        ctx.save_for_backward(weight, threshold, kept, pruning)
        return weight * kept

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (gradient,) = gradients
        weight, threshold, kept, pruning = ctx.saved_tensors
        distance = (weight.abs() - _per_unit(threshold, weight)).abs()
        slope = (2 - 4 * distance).clamp(min=0.4) * (distance <= 1) * pruning
        step = gradient * weight * slope
        return gradient * kept + step * weight.sign(), -step.flatten(1).sum(1), None, None


def _per_unit(threshold: Tensor, weight: Tensor) -> Tensor:
    return threshold.view(-1, *[1] * (weight.dim() - 1))


class _Asleep(NamedTuple):
    """What must not move in an update: the pruned entries, with the weight and thresholds before it."""

    bits: Tensor
    weight: Tensor
    threshold: Tensor


class Thresholded(Bare):
    """A network whose `layers` compute under thresholds; weights and thresholds learn together."""

    def __init__(self, options: Regenerative, name: str, network: nn.Module, layers: list[str]) -> None:
        super().__init__(network)
        self._options = options
        self._through = options.threshold_gradient == "straight_through"
        self.layers: dict[str, nn.Module] = {}
        for layer in layers:
            path, _, parameter = layer.removeprefix(f"{name}.").rpartition(".")
            held = network.get_submodule(path)
            change_weight(held, Thresholds(held.get_parameter(parameter), self._through))
            self.layers[layer] = held
        self._asleep: dict[str, _Asleep] = {}

    def thresholds(self) -> dict[str, Thresholds]:
        """The thresholds of each layer."""
        return {name: cast("Thresholds", layer.change) for name, layer in self.layers.items()}

    def kept(self) -> dict[str, Tensor]:
        """The mask of each layer from the weights as they are now, on the device."""
        return {name: change.kept(used_weight(self.layers[name])) for name, change in self.thresholds().items()}

    @torch.no_grad()
    def after_backward(self, step: int) -> None:
        """Add the penalty's pull on thresholds; what sleeps gets no gradient and is remembered as it is.

        While dense, thresholds have no gradient at all, so that an optimiser leaves them and their moments alone.
        """
        for change in self.thresholds().values():
            pull = -self._options.rise * torch.exp(-change.threshold)
            task = change.threshold.grad
            change.threshold.grad = None if not change.pruning else pull if task is None else pull + task
        for name, kept in {} if self._through else self.kept().items():
            raw = raw_weight(self.layers[name])[1]
            self._asleep[name] = _Asleep(~kept, raw.clone(), self.thresholds()[name].threshold.clone())
            if raw.grad is not None:
                raw.grad.mul_(kept)

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Give what sleeps its values back, whatever momentum or decay did; open layers of which too little is left."""
        for name, before in self._asleep.items():
            raw, threshold = raw_weight(self.layers[name])[1], self.thresholds()[name].threshold
            raw.copy_(torch.where(before.bits, before.weight, raw))
            # The penalty only raises thresholds; weight decay would lower them.
            torch.maximum(threshold, before.threshold, out=threshold)
        for name, kept in self.kept().items():
            self.thresholds()[name].threshold.mul_(kept.float().mean() > self._options.floor)

    def mask(self) -> Mask:
        """The mask of the weights as they are now."""
        return Mask({layer: kept.cpu() for layer, kept in self.kept().items()})


class Regenerating(Wearing):
    """All networks under thresholds, and the one switch between pruning and dense."""

    def __init__(
        self, options: Regenerative, networks: Mapping[str, nn.Module], layers: Mapping[str, list[str]]
    ) -> None:
        self._own = {name: Thresholded(options, name, networks[name], names) for name, names in layers.items()}
        super().__init__(networks, self._own)
        assert options.judge is not None, "the spec was not resolved"
        self._judge = options.judge.falls
        self._history: list[float] = []
        self._final: Mask | None = None

    def hear(self, step: int, metrics: Mapping[str, float]) -> None:
        """Decide, from the fifth measurement on, whether to prune until the next."""
        self._history.append(next(value for name, value in metrics.items() if name.startswith(self._judge)))
        if (pruning := improving(self._history)) is not None:
            self._switch(pruning)

    @torch.no_grad()
    def _switch(self, pruning: bool) -> None:
        for worn in self._own.values():
            for change in worn.thresholds().values():
                cast("Tensor", change.pruning).fill_(pruning)

    def row(self) -> Mapping[str, float]:
        """The density of each network and its highest threshold."""
        found: dict[str, float] = {}
        for name, worn in self._own.items():
            kept = list(worn.kept().values())
            found[f"density_{name}"] = float(sum(layer.sum() for layer in kept)) / sum(map(torch.numel, kept))
            found[f"threshold_{name}"] = max(
                float(change.threshold.detach().max()) for change in worn.thresholds().values()
            )
        return found

    def finish(self, trained: Mapping[str, nn.Module]) -> None:
        """Pruned weights become zero, in moving averages by their own thresholds; thresholds are gone."""
        self._final = super().mask()
        for network in trained.values():
            settle(network)

    def mask(self) -> Mask | None:
        """The mask now, or that of the end."""
        return self._final or super().mask()

    def state(self) -> dict[str, Tensor]:
        """What was heard; thresholds and the switch are saved with the networks."""
        return {"history": torch.tensor(self._history, dtype=torch.float64)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        self._history = state["history"].tolist()


def improving(history: list[float]) -> bool | None:
    """Whether the last value is no worse than the weighted mean of the last five; None before there are five.

    Weights .1 .1 .2 .2 .4, the last value included, added in that order in float64.
    """
    if len(history) < 5:
        return None
    smoothed = 0.0
    for weight, value in zip((0.1, 0.1, 0.2, 0.2, 0.4), history[-5:], strict=True):
        smoothed += weight * value
    return smoothed >= history[-1]
