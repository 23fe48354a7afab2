"""Measuring a classifier on labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketlab.metrics.accuracy import classify
from ticketlab.run.steps.images import BATCH, real_images, scaling_of
from ticketlab.run.steps.measure import Found, Measurer, values

if TYPE_CHECKING:
    from torch import nn

    from ticketlab.plan.steps import Images, Measurement
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace


def measurer(measurement: Measurement, images: Images, seed: int, place: Workplace, device: Device) -> Measurer:
    """What metrics make of its answers on the whole split."""
    real = real_images(images, measurement.split, place, device)
    scaling = scaling_of(images, images.scaling, place)

    def measured(network: nn.Module) -> Found:
        evidence = classify(network, real.parts(BATCH), lambda batch: device.images(scaling(batch)))
        return Found(values(measurement, evidence))

    return measured
