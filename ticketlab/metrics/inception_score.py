"""The Inception Score formula, from class logits; it earns its name only with Inception's logits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ticketlab.errors import DataError


def inception_score(logits: ArrayLike, splits: int = 10) -> tuple[float, float]:
    """Mean and population standard deviation over splits of exp(mean_x KL(p(y|x) || p(y))); higher is better.

    `logits` is (n, classes), n >= splits; split i covers rows floor(i n / splits) to floor((i + 1) n / splits), in the
    given order. Values lie in [1, classes]. DataError for fewer rows than splits.

    Salimans et al. 2016, arXiv 1606.03498, section 4.
    """
    rows = np.asarray(logits, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < splits:
        raise DataError(f"{splits} splits need as many rows of logits, found an array of shape {rows.shape}")
    log_p = rows - _log_sum_exp(rows, axis=1)
    edges = [i * len(rows) // splits for i in range(splits + 1)]
    scores = []
    for start, stop in pairwise(edges):
        part = log_p[start:stop]
        log_marginal = _log_sum_exp(part, axis=0) - np.log(len(part))
        scores.append(np.exp((np.exp(part) * (part - log_marginal)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def _log_sum_exp(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    peak = values.max(axis=axis, keepdims=True)
    return np.asarray(peak + np.log(np.exp(values - peak).sum(axis=axis, keepdims=True)))
