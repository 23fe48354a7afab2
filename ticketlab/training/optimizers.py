"""The optimisers a spec may name, over groups of parameters whose learning rates are set apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ticketlab.spec.optimizer import Adam, Sgd


def adam(options: Adam, groups: Sequence[dict[str, Any]], fused: bool) -> torch.optim.Optimizer:
    """Adam with its weight decay as an L2 term of the gradient; Kingma and Ba 2015, algorithm 1."""
    return torch.optim.Adam(
        groups,
        lr=options.lr,
        betas=(options.beta1, options.beta2),
        eps=options.eps,
        weight_decay=options.weight_decay,
        fused=fused or None,
    )


def sgd(options: Sgd, groups: Sequence[dict[str, Any]], fused: bool) -> torch.optim.Optimizer:
    """Descent with momentum: v <- momentum v + gradient, w <- w - lr v (with Nesterov, lr (gradient + momentum v))."""
    return torch.optim.SGD(
        groups,
        lr=options.lr,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        fused=fused or None,
    )
