"""Ridge regression of one-hot targets on features, in closed form: a linear layer that nobody trains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ticketlab.errors import DataError, Diverged

if TYPE_CHECKING:
    from ticketlab.spec.head import Ridge

FLOOR = 1e-6
"""Added to the penalty, so that there is one solution without any, too."""


def ridge(options: Ridge, parts: Iterable[tuple[Tensor, Tensor]], counts: Tensor) -> Tensor:
    """The W float64 (classes, D) least in sum_i s_i |W x_i - e(y_i)|^2 + (penalty + 1e-6) |W|^2.

    Features x (B, D) and labels y (B,) come in parts, in any precision, and are summed in float64. The n images weigh
    s_i = n / (C n_c), n_c of `counts` (C,) being those of the image's class, so all C classes weigh the same; all D
    columns are penalised, a bias too. DataError for a class without images, Diverged for features that are not finite.
    """
    absent = (counts == 0).nonzero().flatten().tolist()
    if absent:
        raise DataError(
            f"no training image of class {absent[0]} is kept, so nothing tells what its output should be",
            mend="more images, data.subset: balanced, or a model without `head`",
        )
    classes = len(counts)
    share = counts.sum().double() / (classes * counts.double())
    among = across = torch.zeros((), dtype=torch.float64)
    for features, labels in parts:
        rows, weights = features.cpu().double(), share[labels.cpu()]
        weighted = rows * weights.unsqueeze(1)
        among = among + weighted.T @ rows
        across = across + weighted.T @ F.one_hot(labels.cpu(), classes).double()
    if not bool(torch.isfinite(among).all()):
        raise Diverged("some features are not finite, so no head can be fitted to them")
    penalty = (options.penalty + FLOOR) * torch.eye(len(among), dtype=torch.float64)
    found: Tensor = torch.linalg.solve(among + penalty, across)
    return found.T.contiguous()
