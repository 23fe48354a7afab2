"""Fitting the last layer of a network, as it starts, to the training images: no test image is opened here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ticketlab.errors import StepFailed
from ticketlab.made import made
from ticketlab.metrics.evaluation_mode import evaluation_mode
from ticketlab.models.prunable import last_layer
from ticketlab.plan.inputs import PRETRAINED
from ticketlab.run.device import arrange
from ticketlab.run.steps.images import BATCH, scaling_of
from ticketlab.run.steps.networks import initial_networks, trained_weights
from ticketlab.run.steps.prepare import training_images
from ticketlab.training import checkpoint

if TYPE_CHECKING:
    from ticketlab.plan.fitted import Head
    from ticketlab.plan.steps import Step
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `weights.safetensors`: what the start has, if there is one, and the weight and bias of the last layer."""
    step = cast("Head", asked)
    device = arrange(step.compute)
    given = place.input(PRETRAINED, "weights.safetensors")
    ((name, network),) = initial_networks(step.model, step.images, step.seed, step.initial, given).items()
    path, layer = last_layer(device.place(network))
    if not isinstance(layer, nn.Linear):
        raise StepFailed(f"the last layer of `{step.model.name}`, {path}, is not linear", mend="a model without `head`")
    train = training_images(step.images, place, device)
    scaling = scaling_of(step.images, step.images.scaling, place)
    counts = torch.bincount(train.labels.cpu(), minlength=step.images.classes)
    parts = ((device.images(scaling(pixels)), labels) for pixels, labels in train.parts(BATCH))
    rows = _entering(network, layer, parts)
    found: Tensor = made(step.head.made_by)(step.head, rows, counts)
    weight, bias = (found, None) if layer.bias is None else (found[:, :-1], found[:, -1])
    fitted = {f"{name}.{path}.weight": weight.float()} | ({} if bias is None else {f"{name}.{path}.bias": bias.float()})
    before = {} if given is None else trained_weights(given)
    checkpoint.write(place.out / "weights.safetensors", {**before, **fitted}, {"head": step.head.name})


def _entering(
    network: nn.Module, layer: nn.Linear, parts: Iterator[tuple[Tensor, Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """What enters the layer, a one behind it where it has a bias, with the labels; nothing of the network moves."""
    seen: list[Tensor] = []
    watch = layer.register_forward_pre_hook(lambda _, entering: seen.append(entering[0]))
    try:
        for images, labels in parts:
            with evaluation_mode(network):
                network(images)
            features = seen.pop().cpu().double()
            yield features if layer.bias is None else torch.cat([features, torch.ones(len(features), 1)], 1), labels
    finally:
        watch.remove()
