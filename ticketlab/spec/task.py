"""What networks are trained for, and what that decides: how images reach them, what can be measured, against what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scaling = Literal["symmetric", "standard", "unit"]
Split = Literal["train", "test"]


@dataclass(frozen=True)
class Task:
    """A purpose that models and objectives share; only those of one task go together.

    The function named in `measured_by` gathers what metrics compute from; `usual` names those of a spec that names none;
    `through_features` says whether features of generated and real images are compared. Images are scaled by `scaling`
    unless the spec says otherwise, which `only_scaling`, a reason, forbids. `split` is what is compared with. `labels`
    names the kind of label that is learned from (ticketlab/spec/labelling.py), None where images are enough.
    """

    name: str
    usual: tuple[str, ...]
    scaling: Scaling
    split: Split
    measured_by: str
    labels: str | None = None
    through_features: bool = False
    only_scaling: str = ""


GAN = Task(
    name="gan",
    usual=("frechet", "prdc"),
    scaling="symmetric",
    split="train",
    measured_by="ticketlab.run.steps.measure_samples:measurer",
    through_features=True,
    only_scaling="generators end in tanh, so images are scaled to [-1, 1]",
)

CLASSIFIER = Task(
    name="classifier",
    usual=("accuracy", "loss"),
    scaling="standard",
    split="test",
    measured_by="ticketlab.run.steps.measure_classes:measurer",
    labels="class",
)

SEGMENTER = Task(
    name="segmenter",
    usual=("mean_iou", "pixel_accuracy", "loss"),
    scaling="standard",
    split="test",
    measured_by="ticketlab.run.steps.measure_pixels:measurer",
    labels="map",
)
