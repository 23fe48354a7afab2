"""The kernel distance: squared maximum mean discrepancy under a cubic polynomial kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ticketlab.errors import DataError
from ticketlab.metrics.names import kernel_key

if TYPE_CHECKING:
    from ticketlab.metrics.evidence import Sampled
    from ticketlab.spec.metric import Kernel

ROWS_AT_ONCE = 1024


def kernel_distance(real: ArrayLike, generated: ArrayLike) -> float:
    """Unbiased squared MMD of `real` (m, d) and `generated` (n, d) under k(x, y) = (x.y / d + 1)^3; lower is better.

    All pairs are used, so the value is deterministic; m and n >= 2 may differ. It can be negative and is never clipped.
    Blocks of rows in float64: memory is 1024 times the larger set. DataError for sets that are too small or of
    different d.

    Binkowski et al. 2018, arXiv 1801.01401, section 4; Gretton et al. 2012, JMLR 13, eq. 3.
    """
    x, y = _features(real), _features(generated)
    if x.shape[1] != y.shape[1]:
        raise DataError(f"real features have {x.shape[1]} dimensions and generated ones {y.shape[1]}")
    return _within(x) + _within(y) - 2 * _kernel_sum(x, y) / (len(x) * len(y))


def measured(options: Kernel, evidence: Sampled) -> dict[str, float]:
    """The distance between all features of samples and of real images at hand, under the extractor's name."""
    key = kernel_key(evidence.extractor.name, evidence.extractor.dim)
    return {key: kernel_distance(evidence.real_features, evidence.features)}


def _features(features: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise DataError(f"a kernel distance needs at least two feature vectors, found an array of shape {rows.shape}")
    return rows


def _within(x: NDArray[np.float64]) -> float:
    """The mean of k over pairs of different rows."""
    itself = np.einsum("nd,nd->n", x, x) / x.shape[1] + 1
    return (_kernel_sum(x, x) - float((itself * itself * itself).sum())) / (len(x) * (len(x) - 1))


def _kernel_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    total = 0.0
    for start in range(0, len(x), ROWS_AT_ONCE):
        similarity = x[start : start + ROWS_AT_ONCE] @ y.T
        similarity /= x.shape[1]
        similarity += 1
        total += float((similarity * similarity * similarity).sum())
    return total
