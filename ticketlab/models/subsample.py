"""Strided 1x1 convolutions computed as subsampling and a plain 1x1 convolution, where torch's own kernel is broken.

On CPUs, in channels-last layout and with fewer input channels than a vector has lanes, the kernel for the gradient of
a strided 1x1 convolution writes past its workspace: wrong gradients or a corrupted heap (oneDNN issue 6035, seen with
torch 2.14.1). Taking every s-th pixel first is the same function without that kernel.
"""

from __future__ import annotations

from torch import Tensor, nn

LANES = 16
"""Single-precision numbers in the widest vector of today's CPUs."""


def subsample_first(network: nn.Module) -> None:
    """Change every strided 1x1 convolution with fewer than `LANES` inputs, in place; the network's function stays."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and _is_at_risk(layer):
            rows, columns = layer.stride
            layer.stride = (1, 1)
            layer.register_forward_pre_hook(_Every(rows, columns))


def _is_at_risk(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == (1, 1)
        and layer.stride != (1, 1)
        and layer.padding in ((0, 0), 0, "valid")
        and layer.in_channels < LANES
    )


class _Every:
    """A hook that takes every s-th row and column of the images; an object, so that it is copied with its network."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (images,) = inputs
        return (images[..., :: self.rows, :: self.columns],)
