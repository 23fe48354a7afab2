"""Optimisers and learning rates as functions of the step, with a state that can be saved tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ticketlab.errors import EnvironmentProblem
from ticketlab.made import made
from ticketlab.training.rates import Moment

if TYPE_CHECKING:
    from ticketlab.spec.optimizer import OptimizerChoice
    from ticketlab.spec.train import Objective


Share = Callable[[str], float]
"""From the name of a parameter to what its learning rate is multiplied by."""


def whole(parameter: str) -> float:
    """Every parameter learns at the full rate."""
    return 1.0


class SteppedOptimizer:
    """An optimiser over named parameters whose learning rate is a function of the step, times each one's share.

    Fused kernels are used where the device has them. Moments are saved by parameter name, so a checkpoint does not
    depend on the order of parameters.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        options: OptimizerChoice,
        objective: Objective,
        share: Share = whole,
    ) -> None:
        self.parameters = dict(parameters)
        self._fused = all(parameter.device.type in ("cpu", "cuda") for parameter in self.parameters.values())
        self._shares = list(dict.fromkeys(map(share, self.parameters)))
        groups = [
            {"params": [parameter for name, parameter in self.parameters.items() if share(name) == part]}
            for part in self._shares
        ]
        self._optimizer = cast("torch.optim.Optimizer", made(options.made_by)(options, groups, self._fused))
        self._given = dict(self._optimizer.param_groups[0])
        self._rate = options.lr
        self._objective = objective

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._optimizer.zero_grad(set_to_none=True)

    def step(self, step: int) -> None:
        """Update the parameters with the learning rate of this step."""
        rate = self._rate * rate_factor(self._objective, step)
        for group, share in zip(self._optimizer.param_groups, self._shares, strict=True):
            group["lr"] = rate * share
        self._optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Moments by "<moment>.<parameter>"; empty before the first step.

        Raises `EnvironmentProblem` for an optimiser that remembers what is no tensor of a parameter: a training could
        not go on from its checkpoints.
        """
        states = self._optimizer.state
        odd = {moment for one in states.values() for moment, value in one.items() if not _is_saved(value)}
        fixed = self._given.keys() - {"params", "lr"}
        odd |= {name for group in self._optimizer.param_groups for name in fixed if group[name] != self._given[name]}
        if odd:
            raise EnvironmentProblem(
                f"the optimiser remembers what cannot be saved: {', '.join(sorted(odd))}",
                where="train.optimizer",
                mend="an optimiser whose whole state is tensors of its parameters",
            )
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


def _is_saved(value: object) -> bool:
    return value is None or isinstance(value, Tensor)
