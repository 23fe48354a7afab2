"""The networks of a step: built from their keys, or with the weights of an earlier training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.models.build import build
from ticketlab.randomness import Key
from ticketlab.run.steps.images import shape_of
from ticketlab.training import checkpoint
from ticketlab.training.setup import under

if TYPE_CHECKING:
    from ticketlab.plan.steps import Images
    from ticketlab.spec.model import ModelChoice


def initial_networks(model: ModelChoice, images: Images, seed: int, initial: str) -> dict[str, nn.Module]:
    """The model's networks with the initial values of `seed`; `initial` tells the ticket's own from fresh ones."""
    return build(model, shape_of(images), Key(seed).of(initial))


def load_networks(networks: Mapping[str, nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Give every network the tensors saved under its name."""
    for name, network in networks.items():
        network.load_state_dict(under(name, weights))


def trained_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a finished training."""
    tensors, _ = checkpoint.read(path)
    return tensors
