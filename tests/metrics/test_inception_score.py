"""The Inception score against closed forms, and against its definition sample by sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ticketlab.datasets.batches import Scaling
from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import DataError, SpecError
from ticketlab.metrics.evidence import Sampled
from ticketlab.metrics.extractors import lab_classifier, random_conv
from ticketlab.metrics.inception_score import inception_score, measured
from ticketlab.metrics.statistics import Statistics
from ticketlab.models.build import build
from ticketlab.randomness import Key
from ticketlab.spec.evaluate import LabClassifier, RandomConv
from ticketlab.spec.metric import InceptionScore
from ticketlab.spec.model import Convnet, Mlp

SHAPE = ImageShape(1, 16, 5)


@pytest.mark.parametrize("splits", [1, 2, 10])
@pytest.mark.parametrize("classes", [2, 7])
def test_samples_that_look_alike_score_one(classes: int, splits: int) -> None:
    alike = np.tile(np.arange(1.0, classes + 1) / np.arange(1.0, classes + 1).sum(), (40, 1))
    for rows in (np.full((40, classes), 1 / classes), alike):
        np.testing.assert_allclose(inception_score(rows, splits), np.ones(splits), rtol=1e-12)


@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize("classes", [2, 5])
def test_sure_and_evenly_spread_samples_score_the_number_of_classes(classes: int, splits: int) -> None:
    rows = np.tile(np.eye(classes), (4, 1))
    np.testing.assert_allclose(inception_score(rows, splits), np.full(splits, classes), rtol=1e-12)


def test_a_half_sure_classifier_has_the_closed_form() -> None:
    """Two classes, each sample seen as one of them with probability q: log 2 - H(q)."""
    q = 0.8
    (score,) = inception_score([[q, 1 - q], [1 - q, q]], 1)
    assert score == pytest.approx(2 * math.exp(q * math.log(q) + (1 - q) * math.log(1 - q)), rel=1e-12)


def test_it_is_its_definition_split_by_split() -> None:
    rows = np.random.default_rng(3).dirichlet(np.ones(6), 23)
    found = inception_score(rows, 4)
    for split, (start, end) in enumerate(((0, 5), (5, 11), (11, 17), (17, 23))):
        part = rows[start:end]
        marginal = [sum(row[y] for row in part) / len(part) for y in range(6)]
        divergences = [sum(row[y] * math.log(row[y] / marginal[y]) for y in range(6)) for row in part]
        assert found[split] == pytest.approx(math.exp(sum(divergences) / len(part)), rel=1e-12)


def test_fewer_samples_than_splits_are_refused() -> None:
    with pytest.raises(DataError, match="10 parts"):
        inception_score(np.ones((9, 1)), 10)


@pytest.mark.parametrize("model", [Convnet(width=4), Mlp(hidden=(6,))], ids=["convnet", "mlp"])
def test_it_is_measured_by_the_classes_of_the_labs_classifier(model: Convnet | Mlp) -> None:
    options = LabClassifier(model=model)
    classifier = build(model, SHAPE, Key(1))["classifier"]
    scaling = Scaling.of("symmetric", (), ())
    extractor = lab_classifier(options, SHAPE, classifier.state_dict(), dataset="fashion", scaling=scaling)
    images = torch.randint(0, 256, (20, 1, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    features = extractor.features(images, 8)
    with torch.no_grad():
        shares = classifier.eval()(scaling(images)).double().softmax(1).numpy()
    np.testing.assert_allclose(extractor.probabilities(features), shares, rtol=1e-5)
    real = Statistics.from_features(features, extractor="x", pipeline="x")
    found = measured(InceptionScore(splits=2), Sampled(images, features, real, features, extractor))
    expected = inception_score(shares, 2)
    key = f"inception_score_{extractor.name}"
    assert set(found) == {key, f"{key}_spread"}
    assert found[key] == pytest.approx(expected.mean(), rel=1e-5)
    spread = found[f"{key}_spread"]
    assert spread == pytest.approx(abs(expected[0] - expected[1]) / 2, rel=1e-2)


def test_an_extractor_without_classes_has_no_probabilities() -> None:
    extractor = random_conv(RandomConv(width=2), SHAPE)
    with pytest.raises(SpecError, match="has no classes"):
        extractor.probabilities(np.zeros((2, 8)))
