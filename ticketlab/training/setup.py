"""What an objective is given to train: networks under masks, an endless stream of batches, keys for its draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ticketlab.randomness import Key
    from ticketlab.spec.train import Objective, Optimizer


class BatchStream(Protocol):
    """Batches of (uint8 images, labels) by number, already on the device."""

    def at(self, number: int) -> tuple[Tensor, Tensor]:
        """The batch of one update."""
        ...


class Augmenter(Protocol):
    """A random transformation of a batch, on raw pixels or on scaled images."""

    @property
    def on(self) -> Literal["pixels", "scaled"]:
        """Which images it works on."""
        ...

    @property
    def apply(self) -> Callable[[Tensor, Key], Tensor]:
        """The transformation, given the key of its draws."""
        ...

    @property
    def maps(self) -> Callable[[Tensor, Key], Tensor]:
        """The same movement of label maps, given the same key."""
        ...


class Worn(Protocol):
    """How one network wears its mask while it learns; `ticketlab.tickets.worn` has the plain ways."""

    optimizer: Optimizer | None
    """What moves the things that learn; None is the optimiser that the objective has for the network."""

    def learns(self) -> Mapping[str, nn.Parameter]:
        """What the optimiser moves, by name."""
        ...

    def put_on(self) -> None:
        """Make the network's weights what they are under the mask: before the first step, and after `load`."""
        ...

    def after_backward(self, step: int) -> None:
        """Turn the gradients of a backward pass into those of what learns."""
        ...

    def after_step(self, step: int) -> None:
        """Keep the mask's promise once the optimiser has moved what learns."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that `load` needs beside the network's own tensors."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state; the network has its saved tensors already."""
        ...


class Wearing(Protocol):
    """How all networks wear one ticket; `ticketlab.tickets.worn.Wearing` says what each part promises."""

    @property
    def worn(self) -> Mapping[str, Worn]:
        """How each network wears it."""
        ...

    def hear(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take note of what was measured after `step` steps."""
        ...

    def row(self) -> Mapping[str, float]:
        """What the ticket adds to a row of the training's curves."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that `load` needs beside the states of the networks and of what they wear."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        ...


Look = Callable[[Tensor], Tensor]
"""An extractor: features (B, D) of images (B, C, S, S) with values from 0 to 255, bytes or not; differentiable."""


@dataclass(frozen=True)
class Setup:
    """Everything one training works with, `worn` naming every network; `scale` maps uint8 images to what the network expects.

    `prepared` is what the objective's `prepared_by` made of the real images, on the CPU, and `extractor` the network it
    looks through, on the device; both only where the objective asks for them.
    """

    objective: Objective
    networks: Mapping[str, nn.Module]
    wearing: Wearing
    batches: BatchStream
    scale: Callable[[Tensor], Tensor]
    augmenters: Sequence[Augmenter]
    key: Key
    precision: Callable[[], AbstractContextManager[object]]
    compile: Callable[[nn.Module], Callable[..., Tensor]]
    prepared: Mapping[str, Tensor] = field(default_factory=dict)
    extractor: Look | None = None

    def augmented(self, images: Tensor, on: Literal["pixels", "scaled"], *address: str | int) -> Tensor:
        """Images after the augmentations that work `on` pixels or scaled images, drawn at `address`."""
        for position, augmenter in enumerate(self.augmenters):
            if augmenter.on == on:
                images = augmenter.apply(images, self.key.of("augment", position, *address))
        return images

    def moved(self, maps: Tensor, *address: str | int) -> Tensor:
        """Label maps that lie on their images after all augmentations, of pixels first, drawn at `address`."""
        for on in ("pixels", "scaled"):
            for position, augmenter in enumerate(self.augmenters):
                if augmenter.on == on:
                    maps = augmenter.maps(maps, self.key.of("augment", position, *address))
        return maps


class Training(Protocol):
    """A training in progress. `step(t)` is a function of t and the state alone: nothing else is remembered."""

    def step(self, step: int) -> dict[str, Tensor]:
        """Do one step; the losses, as scalars still on the device."""
        ...

    def inputs(self, number: int) -> dict[str, tuple[Tensor, ...]]:
        """What each network is given in update `number`: images or noise, and after these the labels that it is told."""
        ...

    def losses(self, networks: Mapping[str, nn.Module], number: int) -> dict[str, Tensor]:
        """The loss of each network in update `number`, for given networks; differentiable, and nothing is updated."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that `load` needs to go on exactly: weights, buffers, optimiser moments, averages."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        ...

    def trained(self) -> Mapping[str, nn.Module]:
        """The networks as they are now, by name, and moving averages under "ema.<network>"."""
        ...

    def evaluated(self) -> nn.Module:
        """The network that is measured: a classifier, or the averaged generator."""
        ...


def widened(scores: Tensor) -> Tensor:
    """Scores in single precision at least: losses are not computed in half of it."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def fed(network: nn.Module) -> Callable[..., Tensor]:
    """A network that is given its first input in its own precision."""
    precision = next(network.parameters()).dtype
    return lambda inputs, *others: network(inputs.to(precision), *others)


def named(prefix: str, tensors: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors under a prefix: "generator" and "l1.weight" give "generator.l1.weight"."""
    pairs = tensors.items() if isinstance(tensors, Mapping) else tensors
    return {f"{prefix}.{name}": tensor for name, tensor in pairs}


def tensors_of(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """All tensors of networks by "<network>.<tensor>", as they are saved."""
    return {
        key: value for name, network in networks.items() for key, value in named(name, network.state_dict()).items()
    }


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `named`: those tensors whose name starts with the prefix, without it."""
    start = f"{prefix}."
    return {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}
