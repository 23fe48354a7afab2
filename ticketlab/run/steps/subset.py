"""Choosing the training images of a limited-data run."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from ticketlab.datasets.chosen import Chosen
from ticketlab.datasets.subset import draw, indices_digest
from ticketlab.randomness import Key
from ticketlab.run.steps.packs import planned_images
from ticketlab.training import checkpoint

if TYPE_CHECKING:
    from ticketlab.plan.steps import Step, Subset
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `indices.safetensors`: the sorted indices among the images of the classes, and the sha256 of their bytes."""
    step = cast("Subset", asked)
    chosen = Chosen(step.chosen)
    train = planned_images(step.dataset, step.dataset_digest, "train", place, torch.device("cpu"), chosen=chosen)
    count = step.count if step.share is None else len(train) * step.share[0] // step.share[1]
    indices = draw(train.labelling.shown(train.labels), count, step.rule, Key(step.seed).of("subset"))  # type: ignore[arg-type]
    about = {"digest": indices_digest(indices), "rule": step.rule, "count": count}
    checkpoint.write(place.out / "indices.safetensors", {"indices": indices}, about)
