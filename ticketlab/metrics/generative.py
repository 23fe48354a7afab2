"""Generated images against real ones, on the features of one extractor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ticketlab.metrics import names
from ticketlab.metrics.frechet import ALGORITHM, frechet_distance
from ticketlab.metrics.kernel import kernel_distance
from ticketlab.metrics.prdc import prdc
from ticketlab.metrics.statistics import Statistics
from ticketlab.randomness import Key

if TYPE_CHECKING:
    from ticketlab.metrics.extractors import FeatureExtractor
    from ticketlab.spec.task import Measure

REAL_SAMPLE = Key(0).of("metrics", "prdc", "real")
"""One draw for all runs: every cell of a matrix is compared with the same real images."""


def measure(
    metrics: Sequence[Measure],
    real_features: NDArray[np.float64],
    real_statistics: Statistics,
    fake_features: NDArray[np.float64],
    extractor: FeatureExtractor,
    neighbours: int,
) -> dict[str, float]:
    """The values of those of `metrics` that compare generated with real images, by their keys.

    Features are (m, d) and (n, d); `real_statistics` may be of more real images than `real_features`. The Frechet
    distance uses the statistics, the kernel distance all of both feature sets, PRDC `sampled` real features and
    `neighbours`. DataError if the statistics come from another extractor or pipeline.
    """
    values: dict[str, float] = {}
    if "frechet" in metrics:
        fake_statistics = Statistics.from_features(
            fake_features,
            extractor=extractor.name,
            pipeline=extractor.pipeline,
            weights_sha256=extractor.weights_sha256,
        )
        key = names.frechet_key(extractor.name, extractor.dim)
        values[key] = frechet_distance(real_statistics, fake_statistics)
    if "kernel" in metrics:
        values[names.kernel_key(extractor.name, extractor.dim)] = kernel_distance(real_features, fake_features)
    if "prdc" in metrics:
        shares = prdc(sampled(real_features, len(fake_features)), fake_features, neighbours)
        values.update(zip(names.PRDC, shares, strict=True))
    return values


def sampled(real_features: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """At most `most` rows of `real_features`: the first of a fixed keyed permutation, or all of them in order.

    Precision and recall depend on both sample sizes, so real images must not outnumber generated ones.
    """
    if len(real_features) <= most:
        return real_features
    order = torch.randperm(len(real_features), generator=REAL_SAMPLE.generator())
    return np.take(real_features, order[:most].numpy(), axis=0)


def protocol(
    real_features: NDArray[np.float64],
    real_statistics: Statistics,
    fake_features: NDArray[np.float64],
    extractor: FeatureExtractor,
    neighbours: int,
) -> dict[str, str | int | None]:
    """What the numbers of `measure` stand on, for the record beside them; values without it cannot be compared."""
    return {
        "extractor": extractor.name,
        "weights_sha256": extractor.weights_sha256,
        "pipeline": extractor.pipeline,
        "features": extractor.dim,
        "generated_samples": len(fake_features),
        "frechet_real_samples": real_statistics.n,
        "frechet_algorithm": ALGORITHM,
        "kernel_real_samples": len(real_features),
        "prdc_real_samples": min(len(real_features), len(fake_features)),
        "prdc_real_draw": f"first of the permutation {REAL_SAMPLE.seed}/{'/'.join(map(str, REAL_SAMPLE.path))}",
        "prdc_neighbours": neighbours,
        "arithmetic": "float64",
    }
