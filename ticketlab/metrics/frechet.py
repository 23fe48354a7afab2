"""The Frechet distance between the Gaussians of two feature sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ticketlab.errors import DataError
from ticketlab.metrics.names import frechet_key
from ticketlab.metrics.statistics import Statistics, comparable

if TYPE_CHECKING:
    from ticketlab.metrics.evidence import Sampled
    from ticketlab.spec.metric import Frechet

INDEFINITE = 1e-5


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """|mu_a - mu_b|^2 + tr S_a + tr S_b - 2 tr (S_a S_b)^(1/2), in squared feature units, at least 0; lower is better.

    With S = R R' the trace term is the sum of singular values of R_a' R_b. No product of covariances is formed and no
    root of a product taken, so few samples (singular covariances) cost no digits. DataError if the statistics are not
    comparable or a matrix is no covariance.

    Dowson and Landau 1982, The Frechet distance between multivariate normal distributions, eq. 4; used on image
    features by Heusel et al. 2017, arXiv 1706.08500, eq. 6.
    """
    comparable(a, b)
    shift = a.mu - b.mu
    overlap = np.linalg.svd(_root(a.sigma).T @ _root(b.sigma), compute_uv=False).sum()
    distance = shift @ shift + a.sigma.trace() + b.sigma.trace() - 2 * overlap
    return max(float(distance), 0.0)


def measured(options: Frechet, evidence: Sampled) -> dict[str, float]:
    """The distance of the samples to all real images, under the extractor's name.

    DataError if the statistics come from another extractor or pipeline.
    """
    extractor = evidence.extractor
    generated = Statistics.from_features(
        evidence.features,
        extractor=extractor.name,
        pipeline=extractor.pipeline,
        weights_sha256=extractor.weights_sha256,
    )
    return {frechet_key(extractor.name, extractor.dim): frechet_distance(evidence.real, generated)}


def _root(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """R (d, rank) with sigma = R R'."""
    variances, directions = np.linalg.eigh(sigma)
    if variances[0] < -INDEFINITE * max(variances[-1], 0.0):
        raise DataError(f"sigma is no covariance: it has a negative eigenvalue, {variances[0]:.3g}")
    # Rounding leaves null directions at about eps; their roots, about 1e-8 each, would add up.
    kept = variances > len(sigma) * np.finfo(np.float64).eps * variances[-1]
    return np.asarray(directions[:, kept] * np.sqrt(variances[kept]))
