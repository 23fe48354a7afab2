"""Reference statistics: what the features of the real images look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from ticketlab.metrics.statistics import Statistics as Moments
from ticketlab.randomness import Key
from ticketlab.run.device import arrange
from ticketlab.run.steps.extractor import extractor_of
from ticketlab.run.steps.images import BATCH, real_images
from ticketlab.training import checkpoint

if TYPE_CHECKING:
    from ticketlab.plan.steps import Statistics, Step
    from ticketlab.run.workplace import Workplace

FEATURES_SEED = 0


def perform(asked: Step, place: Workplace) -> None:
    """Write `statistics.npz` (all images) and `features.safetensors` (at most `features` of them, drawn by key)."""
    step = cast("Statistics", asked)
    device = arrange(step.compute)
    real = real_images(step.images, step.split, place, device)
    extractor = extractor_of(step.extractor, step.images, place, device)
    features = np.concatenate([extractor.features(part, BATCH) for part, _ in real.parts(BATCH)])
    moments = Moments.from_features(
        features,
        extractor=extractor.name,
        pipeline=extractor.pipeline,
        weights_sha256=extractor.weights_sha256,
        dataset_sha256=step.images.digest,
    )
    moments.save(place.out / "statistics.npz")
    order = torch.randperm(len(features), generator=Key(FEATURES_SEED).of("features").generator())
    chosen = torch.from_numpy(features)[order[: step.features]]
    checkpoint.write(place.out / "features.safetensors", {"features": chosen}, {"extractor": extractor.name})
