"""The asked metrics, each on the samples it should see, under the extractor's name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import DataError
from ticketlab.metrics.extractors import FeatureExtractor, random_conv
from ticketlab.metrics.frechet import frechet_distance
from ticketlab.metrics.generative import measure, protocol, sampled
from ticketlab.metrics.kernel import kernel_distance
from ticketlab.metrics.prdc import prdc
from ticketlab.metrics.statistics import Statistics
from ticketlab.spec.evaluate import RandomConv

SHAPE = ImageShape(1, 16, 10)
EXTRACTOR = random_conv(RandomConv(width=2), SHAPE)


def features(n: int, brightest: int) -> NDArray[np.float64]:
    draws = torch.Generator().manual_seed(brightest)
    return EXTRACTOR.features(torch.randint(0, brightest, (n, 1, 16, 16), generator=draws, dtype=torch.uint8), 16)


def statistics(rows: NDArray[np.float64], extractor: FeatureExtractor = EXTRACTOR) -> Statistics:
    return Statistics.from_features(
        rows, extractor=extractor.name, pipeline=extractor.pipeline, weights_sha256=extractor.weights_sha256
    )


REAL, FAKE = features(40, 256), features(24, 200)


def test_all_metrics_are_those_of_their_modules() -> None:
    values = measure(("frechet", "kernel", "prdc"), REAL, statistics(REAL), FAKE, EXTRACTOR, 3)
    shares = prdc(sampled(REAL, 24), FAKE, 3)
    assert values == {
        "fd_randconv-s0_8": frechet_distance(statistics(REAL), statistics(FAKE)),
        "mmd3_randconv-s0_8": kernel_distance(REAL, FAKE),
        "precision": shares.precision,
        "recall": shares.recall,
        "prdc_density": shares.density,
        "coverage": shares.coverage,
    }


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        (("frechet",), {"fd_randconv-s0_8"}),
        (("kernel", "accuracy"), {"mmd3_randconv-s0_8"}),
        (("prdc",), {"precision", "recall", "prdc_density", "coverage"}),
        (("accuracy", "loss"), set()),
    ],
)
def test_only_what_is_asked_is_measured(asked: tuple[str, ...], keys: set[str]) -> None:
    assert set(measure(asked, REAL, statistics(REAL), FAKE, EXTRACTOR, 3)) == keys


def test_real_features_are_drawn_without_repetition_and_always_the_same() -> None:
    rows = np.arange(100.0)[:, None]
    some = sampled(rows, 30)
    assert len(np.unique(some)) == 30
    assert np.array_equal(sampled(rows, 30), some)
    assert np.array_equal(sampled(rows, 20), some[:20])
    assert sampled(rows, 100) is rows
    assert not np.array_equal(some, rows[:30])


def test_statistics_of_another_extractor_are_refused() -> None:
    other = random_conv(RandomConv(width=2, seed=1), SHAPE)
    with pytest.raises(DataError, match="cannot be compared"):
        measure(("frechet",), REAL, statistics(REAL, other), FAKE, EXTRACTOR, 3)


def test_the_protocol_says_what_the_numbers_stand_on() -> None:
    said = protocol(REAL, statistics(features(50, 256)), FAKE, EXTRACTOR, 3)
    assert said["weights_sha256"] == EXTRACTOR.weights_sha256
    counts = ("generated_samples", "frechet_real_samples", "kernel_real_samples", "prdc_real_samples")
    assert [said[name] for name in counts] == [24, 50, 40, 24]


def test_a_worse_generator_is_further_away() -> None:
    asked = ("frechet", "kernel")
    near = measure(asked, REAL, statistics(REAL), features(40, 250), EXTRACTOR, 3)
    far = measure(asked, REAL, statistics(REAL), features(40, 100), EXTRACTOR, 3)
    assert all(near[key] < far[key] for key in near)
