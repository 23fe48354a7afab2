"""What enters a network: noise drawn by a generator for itself, or images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ticketlab.randomness import Key

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape


@runtime_checkable
class Generates(Protocol):
    """A network that makes images of what it draws itself, by `network(*network.entering(count, key))`."""

    def entering(self, count: int, key: Key) -> tuple[Tensor, ...]:
        """What `count` images are made of, on the CPU: noise (count, latent); after it labels (count), if it has them."""
        ...


def noise(count: int, latent: int, key: Key) -> Tensor:
    """Standard normal noise (count, latent) at the address `key`, on the CPU."""
    return torch.randn(count, latent, generator=key.generator(), device="cpu")


def input_shape(network: nn.Module, images: ImageShape) -> tuple[int, ...]:
    """The shape of one input of a network, without the batch: (latent,) of a generator, else (C, S, S)."""
    return tuple(sample_input(network, images)[0].shape[1:])


def sample_input(network: nn.Module, images: ImageShape) -> tuple[Tensor, ...]:
    """Something that can enter a network, as a batch of one, on the CPU: what a generator draws, else a black image."""
    if isinstance(network, Generates):
        return network.entering(1, Key(0))
    return (torch.zeros(1, images.channels, images.size, images.size, device="cpu"),)
