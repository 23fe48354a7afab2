"""What the kinds of model share: a task, networks by name, prunable layers, the sizes of image they take."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ticketlab.spec.initial import Initial
from ticketlab.spec.section import Choice
from ticketlab.spec.task import CLASSIFIER, Task

Width = Annotated[int, Field(ge=1, le=4096)]
"""Channels or units of a layer."""


class ModelChoice(Choice):
    """A kind of model. `networks` are the parts it is made of; the first is the one measured, and pruned by default.

    `made_by` names a function (options, shape) -> Blueprint (ticketlab/models/build.py).
    """

    trains: ClassVar[Task]
    networks: ClassVar[tuple[str, ...]]
    prunable_layers: ClassVar[tuple[str, ...]] = ("conv", "linear")
    sizes: ClassVar[tuple[int, ...] | None] = None

    init: Initial | None = Field(
        default=None, description="How weights start; null is as the model's own paper has it."
    )


class ClassifierChoice(ModelChoice):
    """A kind of classifier: one network, from images to one logit for each class."""

    trains: ClassVar[Task] = CLASSIFIER
    networks: ClassVar[tuple[str, ...]] = ("classifier",)
