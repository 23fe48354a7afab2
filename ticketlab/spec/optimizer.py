"""`train.optimizer`: how gradients move parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.section import Choice, family

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

Rate = Annotated[float, Field(gt=0, le=10)]


class OptimizerChoice(Choice):
    """An optimiser, and the learning rate that the rate schedule scales.

    `made_by` names a function (options, groups, fused) -> torch.optim.Optimizer over the given groups of parameters, in
    torch's form (ticketlab/training/optimizers.py). Its state is saved tensor by tensor.
    """

    lr: Rate = Field(description="Learning rate.")

    def slowed(self, share: float) -> Self:
        """The optimiser for batches `share` the size: the learning rate shrinks with them (Goyal et al. 2017)."""
        return self.model_copy(update={"lr": self.lr * share})


class Adam(OptimizerChoice):
    """Adam; a weight decay is an L2 term added to the gradient (not decoupled)."""

    made_by: ClassVar[str] = "ticketlab.training.optimizers:adam"
    about: ClassVar[str] = "Adam, weight decay as an L2 term"
    source: ClassVar[str] = "Kingma and Ba 2015, arXiv 1412.6980"

    kind: Literal["adam"] = Field(default="adam", description="Adam.")
    lr: Rate = Field(default=2e-4, description="Learning rate.")
    beta1: float = Field(default=0.0, ge=0, lt=1, description="Decay of the first moment, per step.")
    beta2: float = Field(default=0.9, ge=0, lt=1, description="Decay of the second moment, per step.")
    eps: float = Field(default=1e-8, gt=0, le=1, description="Added to the root of the second moment.")
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="L2 coefficient, per step.")


class Sgd(OptimizerChoice):
    """Stochastic gradient descent with momentum."""

    made_by: ClassVar[str] = "ticketlab.training.optimizers:sgd"
    about: ClassVar[str] = "stochastic gradient descent with momentum"

    kind: Literal["sgd"] = Field(default="sgd", description="Stochastic gradient descent.")
    lr: Rate = Field(default=0.1, description="Learning rate.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum, per step.")
    nesterov: bool = Field(default=False, description="Nesterov's form of momentum.")
    weight_decay: float = Field(default=1e-4, ge=0, le=1, description="L2 coefficient, per step.")

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses Nesterov's form of no momentum."""
        if self.nesterov and not self.momentum:
            raise Impossible((*at, "nesterov"), "there is no momentum to be Nesterov's", mend="momentum: 0.9")
        return self


if TYPE_CHECKING:
    Optimizer = OptimizerChoice
else:
    Optimizer = family("optimizers", "kind", Adam, Sgd)
