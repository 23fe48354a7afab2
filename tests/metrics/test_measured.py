"""The asked metrics, each on the samples it should see, under the extractor's name."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import DataError, StepFailed
from ticketlab.made import made
from ticketlab.metrics.evidence import Sampled
from ticketlab.metrics.extractors import FeatureExtractor, random_conv
from ticketlab.metrics.frechet import frechet_distance
from ticketlab.metrics.kernel import kernel_distance
from ticketlab.metrics.names import PRDC
from ticketlab.metrics.prdc import prdc, sampled
from ticketlab.metrics.statistics import Statistics
from ticketlab.plan.steps import Measurement
from ticketlab.run.steps.measure import values
from ticketlab.spec.evaluate import RandomConv
from ticketlab.spec.metric import Frechet, Kernel, MetricChoice, Prdc
from ticketlab.spec.task import GAN, Task

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


def evidence(fake: NDArray[np.float64] = FAKE, real: Statistics | None = None) -> Sampled:
    images = torch.zeros(len(fake), 1, 16, 16, dtype=torch.uint8)
    return Sampled(images, fake, real or statistics(REAL), REAL, EXTRACTOR)


def found(metric: MetricChoice, of: Sampled) -> dict[str, float]:
    return made(metric.made_by)(metric, of)  # type: ignore[no-any-return]


def test_every_metric_is_that_of_its_module() -> None:
    shares = prdc(sampled(REAL, 24), FAKE, 3)
    assert found(Frechet(), evidence()) == {"fd_randconv-s0_8": frechet_distance(statistics(REAL), statistics(FAKE))}
    assert found(Kernel(), evidence()) == {"mmd3_randconv-s0_8": kernel_distance(REAL, FAKE)}
    assert found(Prdc(neighbours=3), evidence()) == {
        "precision": shares.precision,
        "recall": shares.recall,
        "prdc_density": shares.density,
        "coverage": shares.coverage,
    }


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
        found(Frechet(), evidence(real=statistics(REAL, other)))


class Brightness(MetricChoice):
    """What a third party writes: how bright samples are."""

    made_by: ClassVar[str] = f"{__name__}:brightness"
    measures: ClassVar[tuple[Task, ...]] = (GAN,)
    kind: Literal["brightness"] = "brightness"


def brightness(options: Brightness, of: Sampled) -> dict[str, float]:
    return {"brightness": float(of.images.float().mean())}


def asked(*metrics: MetricChoice) -> Measurement:
    return Measurement("", metrics, samples=24, split="train", extractor=None)


def test_everything_asked_for_is_computed_from_one_evidence_in_the_order_asked() -> None:
    values_found = values(asked(Prdc(neighbours=3), Brightness(), Frechet()), evidence())
    assert list(values_found) == [*PRDC, "brightness", "fd_randconv-s0_8"]
    assert values_found["brightness"] == 0


def test_two_metrics_under_one_key_are_refused() -> None:
    with pytest.raises(StepFailed, match="gives brightness"):
        values(asked(Brightness(), Brightness()), evidence())


@pytest.mark.parametrize("metric", [Frechet(), Kernel()], ids=lambda one: one.kind)
def test_a_worse_generator_is_further_away(metric: MetricChoice) -> None:
    (near,) = found(metric, evidence(features(40, 250))).values()
    (far,) = found(metric, evidence(features(40, 100))).values()
    assert near < far
