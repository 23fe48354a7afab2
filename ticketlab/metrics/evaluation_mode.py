"""Looking at a network without touching it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Inside, `network` is in eval mode and no gradients are recorded; afterwards each submodule has its own mode back.

    Batch statistics, power iterations and dropout stand still in eval mode, so no buffer and no generator changes.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
