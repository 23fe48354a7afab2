"""The Inception score: how sure a classifier is of each sample, and how evenly it spreads them over its classes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ticketlab.errors import DataError
from ticketlab.metrics.names import inception_score_key

if TYPE_CHECKING:
    from ticketlab.metrics.evidence import Sampled
    from ticketlab.spec.metric import InceptionScore


def inception_score(probabilities: ArrayLike, splits: int) -> NDArray[np.float64]:
    """Exp of the mean over x of KL(p(y|x) || mean p(y|x)), in [1, classes], higher is better: one score a split.

    `probabilities` (n, classes) are those of n samples; split i is the rows from floor(i n / splits) on, in their order.
    DataError for fewer samples than splits.

    Salimans et al. 2016, arXiv 1606.03498, section 4.
    """
    rows = np.asarray(probabilities, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < splits:
        raise DataError(f"{splits} parts cannot be made of an array of shape {rows.shape}")
    edges = [split * len(rows) // splits for split in range(splits + 1)]
    return np.array([_score(rows[start:end]) for start, end in pairwise(edges)])


def measured(options: InceptionScore, evidence: Sampled) -> dict[str, float]:
    """Mean and population deviation of the score over the splits, under the extractor's name."""
    extractor = evidence.extractor
    scores = inception_score(extractor.probabilities(evidence.features), options.splits)
    key = inception_score_key(extractor.name)
    return {key: float(scores.mean()), f"{key}_spread": float(scores.std())}


def _score(rows: NDArray[np.float64]) -> float:
    surprise = _times_log(rows).sum(1).mean() - _times_log(rows.mean(0)).sum()
    return float(np.exp(surprise))


def _times_log(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """P log p, which is 0 at 0."""
    return share * np.log(share, where=share > 0, out=np.zeros_like(share))
