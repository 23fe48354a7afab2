"""The optimisers a spec may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from ticketlab.spec.optimizer import Adam, Sgd


def adam(options: Adam, parameters: Sequence[nn.Parameter], fused: bool) -> torch.optim.Optimizer:
    """Adam with its weight decay as an L2 term of the gradient; Kingma and Ba 2015, algorithm 1."""
    return torch.optim.Adam(
        parameters,
        lr=options.lr,
        betas=(options.beta1, options.beta2),
        eps=options.eps,
        weight_decay=options.weight_decay,
        fused=fused or None,
    )


def sgd(options: Sgd, parameters: Sequence[nn.Parameter], fused: bool) -> torch.optim.Optimizer:
    """Descent with momentum: v <- momentum v + gradient, w <- w - lr v (with Nesterov, lr (gradient + momentum v))."""
    return torch.optim.SGD(
        parameters,
        lr=options.lr,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        fused=fused or None,
    )
