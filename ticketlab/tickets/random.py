"""Random pruning: every weight has the same chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from ticketlab.spec.ticket import Random
    from ticketlab.tickets.subject import Subject


def scores(options: Random, subject: Subject) -> dict[str, Tensor]:
    """Independent draws from U[0, 1) in float64 (float32 would tie often, and ties favour low indices).

    A layer's draws depend on the subject's key, its own name and its shape, not on the other layers.
    """
    return {
        name: torch.rand(weight.shape, generator=subject.key.of("score", name).generator(), dtype=torch.float64)
        for name, weight in subject.weights.items()
    }
