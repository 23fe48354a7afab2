"""The head in closed form is the least of what it minimises, by brute force in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ticketlab.errors import DataError, Diverged
from ticketlab.models.ridge import FLOOR, ridge
from ticketlab.spec.head import Ridge

LABELS = [0, 0, 0, 0, 0, 1, 2, 2, 2, 1, 0, 0]


def features(columns: int = 5) -> torch.Tensor:
    """Rows with a last column of ones, as of a layer with a bias."""
    drawn = torch.randn(len(LABELS), columns, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return torch.cat([3 * drawn, torch.ones(len(LABELS), 1, dtype=torch.float64)], 1)


def brute(rows: np.ndarray, penalty: float) -> np.ndarray:
    """Least squares of rows that are repeated by their weights' roots, and a row for every penalised coefficient."""
    counts = [LABELS.count(label) for label in range(3)]
    roots = np.sqrt([len(LABELS) / (3 * counts[label]) for label in LABELS])[:, None]
    targets = np.array([[float(label == place) for place in range(3)] for label in LABELS])
    shrinking = np.sqrt(penalty + 1e-6) * np.eye(rows.shape[1])
    design = np.concatenate([roots * rows, shrinking])
    wanted = np.concatenate([roots * targets, np.zeros((rows.shape[1], 3))])
    return np.linalg.lstsq(design, wanted, rcond=None)[0].T


@pytest.mark.parametrize("penalty", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("size", [1, 5, 12])
def test_classes_weigh_equally_and_every_column_is_penalised(penalty: float, size: int) -> None:
    rows, labels = features(), torch.tensor(LABELS)
    parts = zip(torch.split(rows, size), torch.split(labels, size), strict=True)
    found = ridge(Ridge(penalty=penalty), parts, torch.bincount(labels))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), brute(rows.numpy(), penalty), rtol=1e-8, atol=1e-10)


def test_the_bias_shrinks_with_the_penalty_as_all_weights_do() -> None:
    rows, labels = features(), torch.tensor(LABELS)
    found = ridge(Ridge(penalty=1e9), [(rows, labels)], torch.bincount(labels))
    assert float(found[:, -1].abs().max()) < 1e-7


def test_more_features_than_images_have_one_solution_without_a_penalty() -> None:
    rows, labels = features(40), torch.tensor(LABELS)
    found = ridge(Ridge(penalty=0), [(rows, labels)], torch.bincount(labels))
    assert bool(torch.isfinite(found).all())
    assert (rows @ found.T).argmax(1).tolist() == LABELS
    assert FLOOR == 1e-6


def test_a_class_without_images_and_features_out_of_range_are_said() -> None:
    rows, labels = features(), torch.tensor(LABELS)
    with pytest.raises(DataError, match="no training image of class 3 is kept"):
        ridge(Ridge(), [(rows, labels)], torch.bincount(labels, minlength=4))
    with pytest.raises(Diverged, match="not finite"):
        ridge(Ridge(), [(rows / 0, labels)], torch.bincount(labels))
