"""How right a tagger is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ticketlab.metrics.evaluation_mode import evaluation_mode
from ticketlab.run.steps.images import real_images, scaling_of
from ticketlab.run.steps.measure import Found, Measurer, values

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attributes import AttributeAccuracy
    from ticketlab.plan.steps import Images, Measurement
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace


@dataclass(frozen=True)
class Tagged:
    """True and predicted attributes, (n, attributes)."""

    truth: Tensor
    answers: Tensor


def measurer(measurement: Measurement, images: Images, seed: int, place: Workplace, device: Device) -> Measurer:
    real = real_images(images, measurement.split, place, device)
    shown = device.images(scaling_of(images, images.scaling, place)(real.images))

    def measured(network: nn.Module) -> Found:
        with evaluation_mode(network), torch.no_grad():
            answers = network(shown) > 0
        return Found(values(measurement, Tagged(real.labels.bool(), answers)))

    return measured


def accuracy(options: AttributeAccuracy, evidence: Tagged) -> dict[str, float]:
    return {"attribute_accuracy": float((evidence.truth == evidence.answers).double().mean())}
