"""One legal, honest name per metric."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import get_args

import pytest

from ticketlab.metrics import names
from ticketlab.spec.evaluate import Measure

EVERY = [key for measure in get_args(Measure) for key in names.keys_of(measure, "labclassifier-cifar10", 128)]


def test_every_measure_of_a_spec_has_its_own_keys() -> None:
    assert len(EVERY) == len(set(EVERY)) == 8
    assert names.keys_of("frechet", "randconv-s0", 256) == ("fd_randconv-s0_256",)
    assert names.keys_of("kernel", "randconv-s0", 256) == ("mmd3_randconv-s0_256",)


@pytest.mark.parametrize("key", EVERY)
def test_a_key_is_legal_for_mlflow_has_a_direction_and_a_label(key: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,250}", key)
    assert names.better(key) in {"lower", "higher"}
    assert names.label(key)
    assert len({names.label(other) for other in EVERY}) == len(EVERY)


def test_lower_is_better_for_losses_and_distances_only() -> None:
    lower = {key for key in EVERY if names.better(key) == "lower"}
    assert lower == {"loss", "fd_labclassifier-cifar10_128", "mmd3_labclassifier-cifar10_128"}


@pytest.mark.parametrize("key", ["fid", "kid", "is", "inception_score", "density", "fd__3", "fd_x_0", "fd_x"])
def test_other_names_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not the key"):
        names.label(key)
    with pytest.raises(ValueError, match="not the key"):
        names.better(key)


@pytest.mark.parametrize("extractor", ["", "a b", "a/b", "-a", "a:b"])
def test_an_extractor_that_would_break_a_key_is_refused(extractor: str) -> None:
    with pytest.raises(ValueError, match="part of a metric's key"):
        names.frechet_key(extractor, 3)


def test_a_label_says_the_extractor_and_its_features() -> None:
    assert names.label("fd_labclassifier-fashion_mnist_128") == (
        "Frechet distance (labclassifier-fashion_mnist, 128 features)"
    )


def test_names_do_not_import_torch() -> None:
    code = "import sys, ticketlab.metrics.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
