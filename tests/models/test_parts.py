"""Every model's networks have the parts that its options name, and going part by part is going forward."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.entering import Generates
from ticketlab.models.parts import Grows, Judges
from ticketlab.randomness import Key
from ticketlab.spec.language import place_at
from ticketlab.spec.modelling import ModelChoice

SMALL = {"width": 4, "critic_width": 4, "latent": 8}


def taken_apart() -> Iterator[type[ModelChoice]]:
    place = place_at(("model",), {})
    assert place is not None
    for member in place.sections:
        if issubclass(member, ModelChoice) and member.parts:
            yield member


@pytest.mark.parametrize("member", list(taken_apart()), ids=lambda member: member.__name__)
def test_the_parts_are_there_and_make_up_the_network(member: type[ModelChoice]) -> None:
    options = member(**{name: value for name, value in SMALL.items() if name in member.model_fields})
    size = min(options.sizes or (16,))
    networks = {name: network.eval() for name, network in build(options, ImageShape(3, size, 10), Key(1)).items()}
    for part in member.parts:
        network, _, name = part.partition(".")
        assert callable(getattr(networks[network], name))
    if {"generator.project", "generator.grow"} <= member.parts:
        generator = networks["generator"]
        assert isinstance(generator, Grows)
        assert isinstance(generator, Generates)
        entering = generator.entering(3, Key(2))
        assert torch.equal(generator.grow(generator.project(*entering), *entering), generator(*entering))
    if {"critic.features", "critic.head"} <= member.parts:
        critic, labels = networks["critic"], torch.tensor([0, 1])
        assert isinstance(critic, Judges)
        images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
        assert torch.equal(critic.head(critic.features(images), labels), critic(images, labels))
