"""How many multiply-adds a step takes, roughly: those of its networks' layers, a backward pass counted as two forwards."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.cost import NetworkCost, cost
from ticketlab.plan.fitted import Head
from ticketlab.plan.steps import Curve, Draw, Images, Measured, Statistics, Step, Subset, Train
from ticketlab.randomness import Key

if TYPE_CHECKING:
    from ticketlab.spec.catalog import DatasetFacts
    from ticketlab.spec.evaluate import ExtractorChoice
    from ticketlab.spec.model import ModelChoice


def multiply_adds(step: Step, dataset: DatasetFacts) -> int:
    """What trainings, draws, heads, measurements and statistics take; 0 for steps of other kinds, and for what nobody can count.

    Of feature extractors those count that the lab trains.
    """
    if isinstance(step, Train):
        worked = step.objective.forwards(tuple(cost_of(step.model, step.images)))
        per_step = sum(images * _forward(step.model, step.images, name) for name, images in worked.items())
        return (step.objective.steps - step.begin) * per_step
    if isinstance(step, Draw):
        images = step.ticket.works_through(step.images.classes)
        forwards = sum(_forward(step.model, step.images, name) for name in step.ticket.networks or ())
        return (step.round - step.first + 1) * images * forwards
    if isinstance(step, Statistics):
        return _real(step.split, dataset, step.images) * _look(step.extractor, step.images)
    if isinstance(step, Head):
        return _kept(step, dataset) * _forward(step.model, step.images, step.model.networks[0])
    if isinstance(step, Measured):
        times = len(step.numbers) if isinstance(step, Curve) else 1
        return times * _measurement(step, dataset)
    return 0


def _measurement(step: Measured, dataset: DatasetFacts) -> int:
    """Of one network: a forward of each image of the split, or of each sample, which is looked at as well."""
    asked = step.measurement
    one = _forward(step.model, step.images, step.model.networks[0])
    if asked.extractor is None:
        return _real(asked.split, dataset, step.images) * one
    return asked.samples * (one + _look(asked.extractor, step.images))


def _real(split: str, dataset: DatasetFacts, images: Images) -> int:
    """The images of a split; of some of its classes, as many as if all had equally many."""
    return (dataset.train if split == "train" else dataset.test) * images.classes // dataset.classes


def _kept(step: Head, dataset: DatasetFacts) -> int:
    subset = step.inputs.get("subset")
    if isinstance(subset, Subset) and subset.share is None:
        return subset.count
    return _real("train", dataset, step.images)


def _look(extractor: ExtractorChoice, images: Images) -> int:
    made = extractor.training()
    return 0 if made is None else _forward(made[0], images, made[0].networks[0])


def _forward(model: ModelChoice, images: Images, network: str) -> int:
    return cost_of(model, images)[network].multiply_adds


def cost_of(model: ModelChoice, images: Images) -> dict[str, NetworkCost]:
    """The cost of each network of a model at these images."""
    return _cost_of(model, ImageShape(images.channels, images.size, images.classes))


@cache
def _cost_of(model: ModelChoice, shape: ImageShape) -> dict[str, NetworkCost]:
    with torch.device("meta"):
        return cost(build(model, shape, Key(0)), shape)
