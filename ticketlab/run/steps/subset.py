"""Choosing the training images of a limited-data run."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from ticketlab.datasets.subset import draw, indices_digest
from ticketlab.randomness import Key
from ticketlab.run.steps.packs import planned_images
from ticketlab.training import checkpoint

if TYPE_CHECKING:
    from ticketlab.plan.steps import Step, Subset
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `indices.safetensors`: the sorted indices, and the sha256 of their bytes."""
    step = cast("Subset", asked)
    train = planned_images(step.dataset, step.dataset_digest, "train", place, torch.device("cpu"))
    indices = draw(train.labelling.shown(train.labels), step.count, step.rule, Key(step.seed).of("subset"))  # type: ignore[arg-type]
    about = {"digest": indices_digest(indices), "rule": step.rule, "count": step.count}
    checkpoint.write(place.out / "indices.safetensors", {"indices": indices}, about)
