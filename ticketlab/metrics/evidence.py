"""What measurers gather of a network, once, for every metric to compute from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ticketlab.metrics.extractors import FeatureExtractor
    from ticketlab.metrics.statistics import Statistics


@dataclass(frozen=True)
class Sampled:
    """A generator's samples beside real images, and what both look like to a feature extractor.

    `images` are uint8 (n, C, S, S), `features` theirs, float64 (n, d). `real` are the moments of the features of all
    real images, `real_features` (m, d) those of some, drawn by key; m is 0 if no metric sees them.
    """

    images: Tensor
    features: NDArray[np.float64]
    real: Statistics
    real_features: NDArray[np.float64]
    extractor: FeatureExtractor


@dataclass(frozen=True)
class Classified:
    """A classifier's answers: true and predicted classes, int64 (n,), n > 0, and cross-entropies summed, in nats."""

    labels: Tensor
    predicted: Tensor
    surprise: float
