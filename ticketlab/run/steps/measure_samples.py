"""Measuring a generator: features of its samples against those of real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ticketlab.metrics.evidence import Sampled
from ticketlab.metrics.extractors import quantise
from ticketlab.metrics.statistics import Statistics
from ticketlab.models.entering import Generates
from ticketlab.randomness import Key
from ticketlab.report.grid import grid
from ticketlab.run.steps.extractor import extractor_of
from ticketlab.run.steps.images import BATCH
from ticketlab.run.steps.measure import Found, Measurer, values
from ticketlab.run.steps.networks import trained_weights

if TYPE_CHECKING:
    from ticketlab.plan.steps import Images, Measurement
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace

GRID = 64


def measurer(measurement: Measurement, images: Images, seed: int, place: Workplace, device: Device) -> Measurer:
    """What metrics make of keyed samples beside the reference statistics; the first samples as a grid."""
    assert measurement.extractor is not None, "samples are compared through a feature extractor"
    extractor = extractor_of(measurement.extractor, images, place, device)
    statistics_file, features_file = (
        place.input("statistics", name) for name in ("statistics.npz", "features.safetensors")
    )
    assert statistics_file is not None, "generators are measured against statistics"
    assert features_file is not None, "generators are measured against features"
    statistics = Statistics.load(statistics_file)
    features = trained_weights(features_file)["features"].numpy()

    def measured(generator: nn.Module) -> Found:
        samples = generate(generator, measurement.samples, Key(seed).of("evaluate"), device)
        evidence = Sampled(samples, extractor.features(samples, BATCH), statistics, features, extractor)
        return Found(values(measurement, evidence), grid(samples[:GRID]))

    return measured


@torch.no_grad()
def generate(generator: nn.Module, count: int, key: Key, device: Device) -> Tensor:
    """`count` samples as uint8 images (N, C, S, S) on the device; the n-th depends on the key and n alone."""
    was_training = generator.training
    generator.eval()
    assert isinstance(generator, Generates), "only generators make samples"
    batches = []
    for start in range(0, count, BATCH):
        entering = generator.entering(BATCH, key.of("noise", start))
        with device.precision():
            images = generator(*(part[: count - start].to(device.torch) for part in entering))
        batches.append(quantise(images.float()))
    generator.train(was_training)
    return torch.cat(batches)
