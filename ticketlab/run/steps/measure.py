"""Measuring one network, on the way or at the end: a classifier on labelled images, a generator against real ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn

from ticketlab.datasets.batches import Scaling, prepare
from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.pack import read_split
from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import Diverged
from ticketlab.metrics.accuracy import classify
from ticketlab.metrics.extractors import FeatureExtractor, quantise
from ticketlab.metrics.generative import measure
from ticketlab.metrics.statistics import Statistics
from ticketlab.randomness import Key
from ticketlab.report.grid import grid
from ticketlab.run.steps.networks import trained_weights
from ticketlab.training.setup import under

if TYPE_CHECKING:
    from ticketlab.plan.steps import Images, Measurement
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.evaluate import Extractor

BATCH = 250
GRID = 64


@dataclass(frozen=True)
class Found:
    """Metrics by name, and for generators a grid of samples as a PNG."""

    metrics: Mapping[str, float]
    grid: bytes | None


Measurer = Callable[[nn.Module], Found]


def measurer(measurement: Measurement, images: Images, seed: int, place: Workplace, device: Device) -> Measurer:
    """What measures a network as `measurement` asks; references are read once, here."""
    if measurement.extractor is None:
        return _classification(measurement, images, place, device)
    return _generation(measurement, measurement.extractor, images, seed, place, device)


def _finite(metrics: Mapping[str, float]) -> Mapping[str, float]:
    broken = [name for name, value in metrics.items() if not math.isfinite(value)]
    if broken:
        raise Diverged(f"not finite: {', '.join(broken)}", mend="look at the samples and the losses before it")
    return metrics


def extractor_of(options: Extractor, images: Images, place: Workplace, device: Device) -> FeatureExtractor:
    """The feature extractor on the device, with the weights of the `extractor` input if it is one that the lab trains."""
    module, _, name = options.made_by.partition(":")
    build = getattr(import_module(module), name)
    shape = ImageShape(images.channels, images.size, images.classes)
    path = place.input("extractor", "weights.safetensors")
    if path is None:
        extractor = cast("FeatureExtractor", build(options, shape))
    else:
        scaling = scaling_of(images, "standard", place)
        state = under("classifier", trained_weights(path))
        extractor = cast(
            "FeatureExtractor",
            build(options, shape, state, dataset=images.dataset, scaling=scaling),
        )
    extractor.network.to(device.torch)
    return extractor


def scaling_of(images: Images, kind: Literal["symmetric", "standard", "unit"], place: Workplace) -> Scaling:
    """The pixel range of a network's inputs, from the dataset's own moments where it needs them."""
    manifest = read_manifest(place.home(images.dataset), images.dataset)
    return Scaling.of(kind, manifest.mean, manifest.std)


def real_images(
    images: Images, split: Literal["train", "test"], place: Workplace, device: Device
) -> tuple[Tensor, Tensor]:
    """The uint8 images and the labels of a whole split, prepared, on the device."""
    found = read_split(place.home(images.dataset), images.dataset, split)
    return prepare(found.images, images.size, images.fit, device.torch), found.labels.to(device.torch)


def _classification(measurement: Measurement, images: Images, place: Workplace, device: Device) -> Measurer:
    pixels, labels = real_images(images, measurement.split, place, device)
    scaling = scaling_of(images, images.scaling, place)

    def measured(network: nn.Module) -> Found:
        scores = classify(network, pixels, labels, lambda batch: device.images(scaling(batch)), BATCH)
        return Found(_finite({name: scores[name] for name in measurement.metrics}), None)

    return measured


def _generation(
    measurement: Measurement, options: Extractor, images: Images, seed: int, place: Workplace, device: Device
) -> Measurer:
    extractor = extractor_of(options, images, place, device)
    statistics_file, features_file = (
        place.input("statistics", name) for name in ("statistics.npz", "features.safetensors")
    )
    assert statistics_file is not None, "generators are measured against statistics"
    assert features_file is not None, "generators are measured against features"
    statistics = Statistics.load(statistics_file)
    features = trained_weights(features_file)["features"].numpy()

    def measured(generator: nn.Module) -> Found:
        samples = generate(generator, measurement.samples, Key(seed).of("evaluate"), device)
        fake = extractor.features(samples, BATCH)
        metrics = measure(measurement.metrics, features, statistics, fake, extractor, measurement.neighbours)
        return Found(_finite(metrics), grid(samples[:GRID]))

    return measured


@torch.no_grad()
def generate(generator: nn.Module, count: int, key: Key, device: Device) -> Tensor:
    """`count` samples as uint8 images (N, C, S, S) on the device; the n-th depends on the key and n alone."""
    was_training = generator.training
    generator.eval()
    latent = cast("int", generator.latent)
    batches = []
    for start in range(0, count, BATCH):
        noise = torch.randn(BATCH, latent, generator=key.of("noise", start).generator())
        with device.precision():
            images = generator(noise[: min(BATCH, count - start)].to(device.torch))
        batches.append(quantise(images.float()))
    generator.train(was_training)
    return torch.cat(batches)
