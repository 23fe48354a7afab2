"""Optimisers and learning rates as functions of the step, with a state that can be saved tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ticketlab.made import made
from ticketlab.training.rates import Moment

if TYPE_CHECKING:
    from ticketlab.spec.optimizer import OptimizerChoice
    from ticketlab.spec.train import Objective


class SteppedOptimizer:
    """An optimiser over named parameters whose learning rate is a function of the step.

    Fused kernels are used where the device has them. Moments are saved by parameter name, so a checkpoint does not
    depend on the order of parameters.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], options: OptimizerChoice, objective: Objective) -> None:
        self.parameters = dict(parameters)
        self._fused = all(parameter.device.type in ("cpu", "cuda") for parameter in self.parameters.values())
        self._optimizer = cast(
            "torch.optim.Optimizer", made(options.made_by)(options, list(self.parameters.values()), self._fused)
        )
        self._rate = options.lr
        self._objective = objective

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._optimizer.zero_grad(set_to_none=True)

    def step(self, step: int) -> None:
        """Update the parameters with the learning rate of this step."""
        self._optimizer.param_groups[0]["lr"] = self._rate * rate_factor(self._objective, step)
        self._optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Moments by "<moment>.<parameter>"; empty before the first step."""
        states = self._optimizer.state
        return {
            f"{moment}.{name}": value
            for name, parameter in self.parameters.items()
            for moment, value in states.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore moments saved by `state`."""
        for key, value in state.items():
            moment, _, name = key.partition(".")
            parameter = self.parameters[name]
            if value.shape == parameter.shape:
                restored = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            else:
                # The step count of a fused optimiser lives on the device of its parameter.
                restored = value.to(parameter.device, copy=True) if self._fused else value.clone()
            self._optimizer.state[parameter][moment] = restored


def rate_factor(objective: Objective, step: int) -> float:
    """What the learning rate is multiplied by at a step (counted from 0): warm-up, then the schedule."""
    if step < objective.warmup:
        return (step + 1) / objective.warmup
    schedule = objective.rate_schedule
    return cast("float", made(schedule.made_by)(schedule, Moment(step, objective.steps, objective.warmup)))
