"""Batch normalisation with a scale and a shift for each class of image, as generators have that are told what to make."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ticketlab.errors import TicketlabError


class ConditionalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by statistics of all images, then the scale and shift of each image's class.

    `weight` and `bias` are (classes, channels) and start as 1 and 0; statistics are per channel, as in all batch
    normalisation. Source: Dumoulin et al. 2017, arXiv 1610.07629; in generators Miyato and Koyama 2018, arXiv 1802.05637.
    """

    def __init__(self, channels: int, classes: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(channels, eps, momentum)
        self.weight = nn.Parameter(torch.ones(classes, channels))
        self.bias = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Features (B, channels, H, W) of images of the classes `labels` int64 (B,) -> the same shape."""
        assert self.momentum is not None
        moves = self.training and self.track_running_stats
        if moves and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        kept = moves or not self.training
        mean, variance = (self.running_mean, self.running_var) if kept else (None, None)
        own = self.training or mean is None
        normal = F.batch_norm(features, mean, variance, training=own, momentum=self.momentum, eps=self.eps)
        scale, shift = (part[labels].unsqueeze(2).unsqueeze(3) for part in (self.weight, self.bias))
        return normal * scale + shift


def classes_told(layers: Iterable[nn.Module]) -> int | None:
    """How many classes the conditional batch normalisation among the layers tells apart; None where there is none.

    It is known by its weight (classes, channels). TicketlabError if not all tell equally many apart.
    """
    norms = [layer for layer in layers if isinstance(layer, _BatchNorm) and layer.affine]
    found = {len(norm.weight) for norm in norms if norm.weight.dim() == 2}
    if len(found) > 1:
        raise TicketlabError(f"layers of one network tell {' and '.join(map(str, sorted(found)))} classes apart")
    return found.pop() if found else None
