"""Small networks of every kind of model, and what a run would offer to a method that scores them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.conditional import classes_told
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.spec.drawing import Drawn
from ticketlab.spec.masked import LayerKind
from ticketlab.spec.model import (
    Convnet,
    ImagenetResnet,
    Lenet,
    Mlp,
    ModelChoice,
    Resnet,
    Sngan,
    TinyResnet,
    TinyVgg,
    Vgg,
)
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.prune import draw_ticket
from ticketlab.tickets.subject import Subject

MODELS: dict[str, tuple[ModelChoice, ImageShape]] = {
    "mlp": (Mlp(hidden=(12, 8)), ImageShape(1, 8, 10)),
    "lenet": (Lenet(channels=(4, 4), hidden=(8,)), ImageShape(1, 8, 10)),
    "convnet": (Convnet(width=4), ImageShape(3, 16, 10)),
    "resnet": (Resnet(depth=8, width=4), ImageShape(3, 16, 10)),
    "vgg": (Vgg(depth=11, width=4), ImageShape(3, 32, 10)),
    "tiny_vgg": (TinyVgg(depth=11, width=4, hidden=16), ImageShape(3, 32, 10)),
    "tiny_resnet": (TinyResnet(depth=50, width=2), ImageShape(3, 16, 10)),
    "imagenet_resnet": (ImagenetResnet(depth=18, width=4), ImageShape(3, 32, 10)),
    "sngan": (Sngan(width=4, critic_width=4, latent=8), ImageShape(3, 32, 10)),
}

START = Key(0)


@dataclass
class Bench:
    """Networks, eight images of eight classes, and noise; losses as in the lab's objectives."""

    networks: Mapping[str, nn.Module]
    images: Tensor
    labels: Tensor
    noise: Tensor

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        found = prunable(self.networks, tuple(self.networks), ("conv", "linear"))
        return {layer: weight.parameter.detach() for layer, weight in found.items()}

    @cached_property
    def kinds(self) -> dict[str, LayerKind]:
        found = prunable(self.networks, tuple(self.networks), ("conv", "linear"))
        return {layer: weight.kind for layer, weight in found.items()}

    @property
    def dense(self) -> Mask:
        return Mask.dense({layer: tuple(weight.shape) for layer, weight in self.weights.items()})

    def given(self, network: str, number: int, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Images, or noise, of one batch; labels after them for networks that are told the class."""
        first = (self.noise if network == "generator" else self.images).split(sizes)[number]
        told = classes_told(self.networks[network].modules())
        return (first,) if told is None else (first, self.labels.split(sizes)[number] % told)

    def subject(self, mask: Mask | None = None, sizes: tuple[int, ...] | None = None, key: Key = START) -> Subject:
        kept = mask or self.dense
        sizes = sizes or (len(self.labels),)

        def networks(precision: torch.dtype | None = None) -> dict[str, nn.Module]:
            private = {name: copy.deepcopy(network).eval() for name, network in self.networks.items()}
            with torch.no_grad():
                for layer, bits in kept.items():
                    name, _, parameter = layer.partition(".")
                    private[name].get_parameter(parameter).mul_(bits)
            return {name: network.to(precision) for name, network in private.items()}

        def inputs(number: int) -> dict[str, tuple[Tensor, ...]]:
            return {name: self.given(name, number, sizes) for name in self.networks}

        def losses(networks: Mapping[str, nn.Module], number: int) -> dict[str, Tensor]:
            return losses_of(networks, inputs(number), self.labels.split(sizes)[number])

        return Subject(self.weights, kept, key, networks=networks, batches=sizes, inputs=inputs, losses=losses)

    @property
    def entering(self) -> dict[str, tuple[Tensor, ...]]:
        """What each network is given, all at once."""
        return {name: self.given(name, 0, (len(self.labels),)) for name in self.networks}

    def drawn(self, options: Drawn) -> Mask:
        """The mask after all rounds, all networks scored."""
        everywhere = options.model_copy(update={"networks": tuple(self.networks)})
        return draw_ticket(everywhere, self.networks, self.entering, self.labels, losses=losses_of)


def losses_of(
    networks: Mapping[str, nn.Module], inputs: Mapping[str, tuple[Tensor, ...]], labels: Tensor
) -> dict[str, Tensor]:
    """Cross-entropy, or the hinge losses of both players."""
    dtype = next(next(iter(networks.values())).parameters()).dtype
    given = {name: values.to(dtype) for name, (values, *_) in inputs.items()}
    if "critic" not in networks:
        return {name: F.cross_entropy(network(given[name]), labels) for name, network in networks.items()}
    generate, judge = networks["generator"], networks["critic"]
    with torch.no_grad():
        fake = generate(given["generator"])
    real, false = judge(given["critic"]), judge(fake)
    return {
        "generator": -judge(generate(given["generator"])).mean(),
        "critic": F.relu(1 - real).mean() + F.relu(1 + false).mean(),
    }


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """A bench with one of the lab's models, its batch normalisation moved off its start, or with networks given."""

    def made(what: str | Mapping[str, nn.Module], *image: int) -> Bench:
        source = torch.Generator().manual_seed(7)
        latent = 1
        if isinstance(what, str):
            model, shape = MODELS[what]
            networks: Mapping[str, nn.Module] = build(model, shape, Key(5))
            image, latent = (shape.channels, shape.size, shape.size), getattr(model, "latent", 1)
            for network in networks.values():
                warm(network, source)
        else:
            networks = what
        images = torch.randn(8, *image, generator=source)
        return Bench(networks, images, torch.arange(8), torch.randn(8, latent, generator=source))

    return made


@torch.no_grad()
def warm(network: nn.Module, source: torch.Generator) -> None:
    """Give batch normalisation and biases values that a training might have given them."""
    for module in network.modules():
        state: dict[str, Any] = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
        if isinstance(module, nn.BatchNorm2d):
            state["weight"].copy_(1 + 0.3 * torch.randn(state["weight"].shape, generator=source))
            state["running_mean"].copy_(0.2 * torch.randn(state["weight"].shape, generator=source))
            state["running_var"].copy_(0.5 + torch.rand(state["weight"].shape, generator=source))
        if state.get("bias") is not None:
            state["bias"].copy_(0.1 * torch.randn(state["bias"].shape, generator=source))
