"""Layers whose weight is divided by its spectral norm, followed by one power iteration per training forward."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TRACE = 1e-16
"""Weight of the old direction in a power iteration: below rounding, unless the layer's weight is zero throughout."""


class SpectralLayer(nn.Module):
    """What spectrally normalised layers share: the raw weight, two singular vectors, and the weight they give.

    Parameter `weight_orig` (out, in, ...) is the raw weight W; buffers `weight_u` (out) and `weight_v` (the rest,
    flattened) approximate its leading singular vectors. A forward uses W / sigma with sigma = u^T W v. In training mode
    u and v are first improved by one power iteration; in evaluation mode they stay as they are. Gradients flow through
    sigma with u and v held constant. A weight that is zero throughout gives zero and leaves u and v as they are.
    Source: Miyato et al. 2018, arXiv 1802.05957, algorithm 1. Differentiable twice; not for `torch.func` transforms.
    """

    weight_orig: nn.Parameter
    weight_u: Tensor
    weight_v: Tensor

    def _normalise(self, raw: nn.Parameter) -> None:
        del self.weight
        self.weight_orig = raw
        self.register_buffer("weight_u", raw.new_empty(raw.shape[0], requires_grad=False))
        self.register_buffer("weight_v", raw.new_empty(raw.shape[1:].numel(), requires_grad=False))

    def effective_weight(self) -> Tensor:
        """W / sigma, in the shape and memory format of W; moves u and v in training mode."""
        raw, u, v = self.weight_orig, self.weight_u, self.weight_v
        sigma = _iterate(raw, u, v) if self.training else _sigma(raw, u, v)
        if torch.is_grad_enabled() and raw.requires_grad:
            # A later forward moves u and v in place before this one's backward needs them.
            effective: Tensor = _DividedBySigma.apply(raw, u.clone(), v.clone(), sigma)
        else:
            effective = raw / sigma
        return effective


class SpectralConv2d(SpectralLayer, nn.Conv2d):
    """A 2-d convolution with a spectrally normalised weight; arguments as for `nn.Conv2d`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._normalise(self.weight)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        maps: Tensor = self._conv_forward(images, self.effective_weight(), self.bias)
        return maps


class SpectralLinear(SpectralLayer, nn.Linear):
    """A linear layer with a spectrally normalised weight; arguments as for `nn.Linear`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._normalise(self.weight)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """(B, in) -> (B, out)."""
        return F.linear(features, self.effective_weight(), self.bias)


def leading_vectors(weight: Tensor, direction: Tensor, iterations: int = 15) -> tuple[Tensor, Tensor]:
    """(u, v) after some power iterations from a random `direction` (out), float64 on the CPU.

    Started near the leading singular vectors, sigma means something in evaluation mode before the first training step;
    in float64, vectors rounded to float32 do not depend on the machine's summation order.
    """
    matrix = weight.detach().flatten(1).to("cpu", torch.float64)
    u = F.normalize(direction.double(), dim=0)
    v = torch.full_like(matrix[0], matrix.shape[1] ** -0.5)
    for _ in range(iterations):
        _iterate(matrix, u, v)
    return u, v


@torch.no_grad()
def _iterate(raw: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """One power iteration in place; returns sigma = |W v| = u^T W v.

    A trace of the old direction in each product takes the place of the usual guard against division by zero.
    All steps are in place because out-of-place matrix products would be rounded to bf16 under autocast.
    """
    matrix, row = _in_memory_order(raw, v)
    row.addmv_(matrix.t(), u, beta=TRACE)
    row.div_(torch.linalg.vector_norm(row))
    if row is not v:
        rest, height, width = raw.shape[1:]
        v.view(rest, height, width).copy_(row.view(height, width, rest).permute(2, 0, 1))
    u.addmv_(matrix, row, beta=TRACE)
    sigma: Tensor = torch.linalg.vector_norm(u)
    u.div_(sigma)
    return sigma


@torch.no_grad()
def _sigma(raw: Tensor, u: Tensor, v: Tensor) -> Tensor:
    matrix, row = _in_memory_order(raw, v)
    return _or_one(torch.dot(u, torch.zeros_like(u).addmv_(matrix, row)))


def _or_one(sigma: Tensor) -> Tensor:
    """Sigma, and 1 in place of 0: a weight that is zero stays zero."""
    return sigma + (sigma == 0)


def _in_memory_order(raw: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """W as a matrix (out, rest) and v, both in the order in which W lies in memory, so that W is not copied."""
    if raw.dim() != 4 or raw.is_contiguous():
        return raw.flatten(1), v
    rest, height, width = raw.shape[1:]
    return raw.permute(0, 2, 3, 1).flatten(1), v.view(rest, height, width).permute(1, 2, 0).flatten()


class _DividedBySigma(torch.autograd.Function):
    """W / sigma, sigma = u^T W v with u and v constant; a cheaper backward than the one autograd composes."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, u: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
        ctx.save_for_backward(raw, u, v, sigma)
        return raw / sigma

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        raw, u, v, sigma = ctx.saved_tensors
        (gradient,) = gradients
        column, row = u.view(-1, *[1] * (raw.dim() - 1)), v.view(1, *raw.shape[1:])
        if torch.is_grad_enabled():
            sigma = _or_one((raw * column * row).sum())
        share = (gradient * raw).sum() / sigma
        return torch.addcmul(gradient, column * share, row, value=-1) / sigma, None, None, None
