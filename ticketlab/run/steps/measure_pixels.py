"""Measuring a segmenter on images with label maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketlab.metrics.segmentation import segment
from ticketlab.run.steps.images import real_images, scaling_of
from ticketlab.run.steps.measure import Found, Measurer, values

if TYPE_CHECKING:
    from torch import nn

    from ticketlab.plan.steps import Images, Measurement
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace

PIXELS = 1 << 20
"""Pixels per forward pass: scores of every class are kept for each of them."""


def measurer(measurement: Measurement, images: Images, seed: int, place: Workplace, device: Device) -> Measurer:
    """What metrics make of its answers on all labelled pixels of the split, at the size that is trained on."""
    real = real_images(images, measurement.split, place, device)
    scaling = scaling_of(images, images.scaling, place)
    batch = max(1, PIXELS // images.size**2)

    def measured(network: nn.Module) -> Found:
        evidence = segment(network, real.parts(batch), images.classes, lambda pixels: device.images(scaling(pixels)))
        return Found(values(measurement, evidence))

    return measured
