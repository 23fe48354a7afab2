"""What an objective makes of the real images once, for all trainings that ask the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from ticketlab.made import made
from ticketlab.plan.inputs import PREPARED
from ticketlab.run.device import arrange
from ticketlab.run.steps.extractor import extractor_of
from ticketlab.run.steps.prepare import training_images
from ticketlab.training import checkpoint

if TYPE_CHECKING:
    from ticketlab.plan.steps import Prepared, Step
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `prepared.safetensors`: the tensors that the objective's function makes, and the extractor it looked through."""
    step = cast("Prepared", asked)
    device = arrange(step.compute)
    train = training_images(step.images, place, device)
    extractor = None if step.extractor is None else extractor_of(step.extractor, step.images, place, device)
    tensors = made(step.function)(train.take(torch.arange(len(train))), None if extractor is None else extractor.look)
    about = {} if extractor is None else {"extractor": extractor.name, "weights": extractor.weights_sha256}
    checkpoint.write(place.out / PREPARED, tensors, about)
