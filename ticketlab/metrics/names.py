"""The one naming of metrics."""

from __future__ import annotations

import re

ACCURACY = "accuracy"
LOSS = "loss"
MEAN_IOU = "mean_iou"
PIXEL_ACCURACY = "pixel_accuracy"
PRECISION = "precision"
RECALL = "recall"
PRDC_DENSITY = "prdc_density"
COVERAGE = "coverage"
PRDC = (PRECISION, RECALL, PRDC_DENSITY, COVERAGE)
"""`prdc_density`, because the density of a ticket is something else."""

EXTRACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def frechet_key(extractor: str, dim: int) -> str:
    """The key of a Frechet distance, e.g. `fd_randconv-s0_256`; "FID" names Inception's features alone."""
    return f"fd_{_extractor(extractor)}_{dim}"


def kernel_key(extractor: str, dim: int) -> str:
    """The key of a kernel distance (cubic MMD), e.g. `mmd3_randconv-s0_256`; "KID" names Inception's alone."""
    return f"mmd3_{_extractor(extractor)}_{dim}"


def inception_score_key(extractor: str) -> str:
    """The key of an inception score, e.g. `inception_score_labclassifier-mnist`; "IS" names TensorFlow's alone."""
    return f"inception_score_{_extractor(extractor)}"


def _extractor(name: str) -> str:
    if not EXTRACTOR.fullmatch(name):
        raise ValueError(f"{name!r} cannot be part of a metric's key: letters, digits, '.', '_' and '-' only")
    return name
