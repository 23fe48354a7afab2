"""Subsampling before a plain 1x1 convolution is the strided one: outputs, gradients, and a heap that stays whole."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from ticketlab.models.subsample import subsample_first

MANY = """
import torch
from torch import nn
from ticketlab.models.subsample import subsample_first
torch.set_num_threads(1)
for _ in range(100):
    layer = nn.Conv2d({channels}, 8, 1, 2, bias=False).to(memory_format=torch.channels_last)
    subsample_first(layer)
    images = torch.randn(4, {channels}, 16, 16).contiguous(memory_format=torch.channels_last).requires_grad_()
    for _ in range(2):
        layer(images).square().sum().backward()
"""


@pytest.mark.parametrize("stride", [2, 3, (1, 2)])
@pytest.mark.parametrize("size", [8, 9])
def test_outputs_and_gradients_are_those_of_the_strided_convolution(stride: int | tuple[int, int], size: int) -> None:
    source = torch.Generator().manual_seed(0)
    strided = nn.Conv2d(4, 6, 1, stride).double()
    images = torch.randn(3, 4, size, size, generator=source, dtype=torch.float64)
    taken = copy.deepcopy(strided)
    subsample_first(taken)
    found = []
    for layer in (strided, copy.deepcopy(taken)):
        entering = images.clone().requires_grad_()
        out = layer(entering)
        out.sin().sum().backward()
        found.append((out, entering.grad, layer.weight.grad, layer.bias.grad))
    for theirs, mine in zip(*found, strict=True):
        assert torch.allclose(theirs, mine, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_many_backward_passes_leave_the_heap_whole(channels: int) -> None:
    done = subprocess.run([sys.executable, "-c", MANY.format(channels=channels)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_other_convolutions_stay_as_they_are() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, 2), nn.Conv2d(4, 4, 1), nn.Conv2d(16, 4, 1, 2), nn.Conv2d(4, 4, 1, 2, padding=1)
    )
    strides = [layer.stride for layer in network]
    subsample_first(network)
    assert [layer.stride for layer in network] == strides
