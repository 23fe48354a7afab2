"""The one naming of metrics: the key, the direction that is better, and a label for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ticketlab.spec.evaluate import Measure

ACCURACY = "accuracy"
LOSS = "loss"
PRECISION = "precision"
RECALL = "recall"
PRDC_DENSITY = "prdc_density"
COVERAGE = "coverage"
PRDC = (PRECISION, RECALL, PRDC_DENSITY, COVERAGE)
"""`prdc_density`, because the density of a ticket is something else."""

EXTRACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
DISTANCE = re.compile(r"(?P<kind>fd|mmd3)_(?P<extractor>[A-Za-z0-9][A-Za-z0-9._-]*)_(?P<dim>[1-9][0-9]*)")
FIXED_LABELS = {
    ACCURACY: "Accuracy",
    LOSS: "Cross-entropy (nats)",
    PRECISION: "Precision",
    RECALL: "Recall",
    PRDC_DENSITY: "Density of PRDC",
    COVERAGE: "Coverage",
}
DISTANCE_LABELS = {"fd": "Frechet distance", "mmd3": "Kernel distance"}

Direction = Literal["lower", "higher"]


def frechet_key(extractor: str, dim: int) -> str:
    """The key of a Frechet distance, e.g. `fd_randconv-s0_256`; "FID" names Inception's features alone."""
    return f"fd_{_extractor(extractor)}_{dim}"


def kernel_key(extractor: str, dim: int) -> str:
    """The key of a kernel distance (cubic MMD), e.g. `mmd3_randconv-s0_256`; "KID" names Inception's alone."""
    return f"mmd3_{_extractor(extractor)}_{dim}"


def keys_of(measure: Measure, extractor: str, dim: int) -> tuple[str, ...]:
    """The keys that one entry of `evaluate.metrics` writes."""
    match measure:
        case "frechet":
            return (frechet_key(extractor, dim),)
        case "kernel":
            return (kernel_key(extractor, dim),)
        case "prdc":
            return PRDC
        case "accuracy" | "loss":
            return (measure,)


def better(key: str) -> Direction:
    """Whether lower or higher values of `key` are better; ValueError for an unknown key."""
    if key in FIXED_LABELS:
        return "lower" if key == LOSS else "higher"
    _distance(key)
    return "lower"


def label(key: str) -> str:
    """What tables and axes call `key`; ValueError for an unknown key."""
    if key in FIXED_LABELS:
        return FIXED_LABELS[key]
    found = _distance(key)
    return f"{DISTANCE_LABELS[found['kind']]} ({found['extractor']}, {found['dim']} features)"


def _extractor(name: str) -> str:
    if not EXTRACTOR.fullmatch(name):
        raise ValueError(f"{name!r} cannot be part of a metric's key: letters, digits, '.', '_' and '-' only")
    return name


def _distance(key: str) -> re.Match[str]:
    found = DISTANCE.fullmatch(key)
    if found is None:
        raise ValueError(f"{key!r} is not the key of a metric")
    return found
