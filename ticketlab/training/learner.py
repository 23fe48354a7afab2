"""One network that learns: its optimiser, and the way it wears its mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from ticketlab.training.optim import SteppedOptimizer
from ticketlab.training.setup import Setup, named, under

if TYPE_CHECKING:
    from ticketlab.spec.train import Optimizer


class Learner:
    """The network called `name`, updated by losses; every update keeps the promise of its mask."""

    def __init__(self, name: str, setup: Setup, optimizer: Optimizer) -> None:
        self.name = name
        self.network = setup.networks[name]
        self._worn = setup.wearing.worn[name]
        learns = self._worn.learns()
        self._optimizer = (
            SteppedOptimizer(learns, self._worn.optimizer or optimizer, setup.objective) if learns else None
        )
        self._worn.put_on()

    def learn(self, loss: Tensor, step: int) -> None:
        """One update down the gradient of a scalar loss, at the learning rate of `step`; none where nothing learns."""
        if self._optimizer is None:
            return
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._worn.after_backward(step)
        self._optimizer.step(step)
        self._worn.after_step(step)

    def state(self) -> dict[str, Tensor]:
        """The network, its optimiser's moments, and what the mask remembers."""
        return {
            **named(self.name, self.network.state_dict()),
            **named(f"optimizer.{self.name}", self._optimizer.state() if self._optimizer else {}),
            **named(f"worn.{self.name}", self._worn.state()),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        self.network.load_state_dict(under(self.name, state))
        if self._optimizer is not None:
            self._optimizer.load(under(f"optimizer.{self.name}", state))
        self._worn.load(under(f"worn.{self.name}", state))
        self._worn.put_on()
