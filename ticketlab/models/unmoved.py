"""Looking at a network in training without leaving a trace in the state that forwards move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def unmoved_state(*networks: nn.Module) -> Iterator[None]:
    """While it lasts, forwards of the networks move no statistics of batch norm and no spectral vectors; gradients flow.

    Batch norm in training mode still is by the batch's own statistics, and spectral norms are u^T W v of the vectors
    as they are. What holds such vectors is known by its buffers, named in "_u" and "_v": the layers here and torch's own.
    Modes are as before when it ends, by an error too. Source of the need: the released code of arXiv 2103.00397 updates
    statistics and vectors while it looks for a perturbation.
    """
    modules = [module for network in networks for module in network.modules()]
    tracking = [module for module in modules if isinstance(module, _BatchNorm) and module.track_running_stats]
    iterating = [module for module in modules if module.training and _has_spectral_vectors(module)]
    for norm in tracking:
        norm.track_running_stats = False
    for module in iterating:
        # Not `eval()`, which would also reach what the module is made of.
        module.training = False
    try:
        yield
    finally:
        for norm in tracking:
            norm.track_running_stats = True
        for module in iterating:
            module.training = True


def _has_spectral_vectors(module: nn.Module) -> bool:
    return {name[-2:] for name, _ in module.named_buffers(recurse=False)} >= {"_u", "_v"}
