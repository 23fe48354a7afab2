"""Weights trained elsewhere, given to a residual network by name; what they do not bring keeps its initial values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ticketlab.errors import DataError

HEAD = "fc."
COUNTER = ".num_batches_tracked"
"""What batch normalisation counts; files written before torch 0.4.1 have none, and nothing here depends on it."""


@dataclass(frozen=True)
class Origin:
    """Where weights come from: how their file names what an ImageNet residual network has, and what it leaves out.

    Names in the file begin with `prefix`, which is taken off; those that then begin with something in `ignored` are
    not looked at. Tensors of the network that begin with something in `random` start as initialised.
    """

    name: str
    about: str
    prefix: str = ""
    ignored: tuple[str, ...] = ()
    random: tuple[str, ...] = ()


TORCHVISION = Origin("torchvision", "supervised on ImageNet; the head too where it has as many classes")
MOCO = Origin(
    "moco",
    "MoCo v2, arXiv 2003.04297: the query encoder without its projection",
    prefix="module.encoder_q.",
    ignored=("fc.",),
    random=("fc.",),
)
CLIP = Origin(
    "clip",
    "the image tower of CLIP RN50, arXiv 2103.00020: its four stages. Its stem of three convolutions and its attention "
    "pooling have no counterpart, so stem and head start as initialised; and it halves maps by averaging where the "
    "residual network has strides, so features are only close to CLIP's",
    prefix="visual.",
    ignored=("conv1.", "conv2.", "conv3.", "bn1.", "bn2.", "bn3.", "attnpool."),
    random=("conv1.", "bn1.", "fc."),
)
TICKETLAB = Origin(
    "ticketlab",
    "a classifier that the lab trained, as a run publishes it, on whatever images; the head too where it has as many "
    "classes. What a run left of the same model is given back by ticketlab/models/own_weights.py",
    prefix="classifier.",
)
ORIGINS = {origin.name: origin for origin in (TORCHVISION, MOCO, CLIP, TICKETLAB)}


@dataclass(frozen=True)
class Loaded:
    """What became of a load: the network's tensors that were given values, and those that keep their initial ones."""

    given: tuple[str, ...]
    initial: tuple[str, ...]


@torch.no_grad()
def load(origin: Origin, tensors: Mapping[str, Tensor], network: nn.Module, where: str) -> Loaded:
    """Give a network, whose tensors are named as torchvision's residual networks name theirs, the weights of a file.

    A linear head of another number of classes keeps its initial values; so does one the network does not have. Values
    take the network's precision and device. DataError, naming the file as `where`, if the file has not every tensor
    that `origin` promises in the shape the network has, has others beside, or values that are not finite, or quantised;
    then nothing has changed.
    """
    own = network.state_dict()
    found = _named(origin, tensors)
    random = origin.random
    if not _has_head(found, own):
        random = (*random, HEAD)
        found = {name: tensor for name, tensor in found.items() if not name.startswith(HEAD)}
    initial = tuple(name for name in own if name.startswith(random))
    _check(origin, found, {name: tensor for name, tensor in own.items() if name not in initial}, where)
    for name, tensor in found.items():
        own[name].copy_(tensor)
    return Loaded(tuple(name for name in own if name in found), initial)


def _named(origin: Origin, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors under the network's names, less those that have no counterpart."""
    bare = {
        name.removeprefix(origin.prefix): tensor for name, tensor in tensors.items() if name.startswith(origin.prefix)
    }
    return {name: tensor for name, tensor in bare.items() if not name.startswith(origin.ignored)}


def _has_head(found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> bool:
    """Whether the file brings the network's head, with as many classes."""
    shapes = {name: tensor.shape for name, tensor in found.items() if name.startswith(HEAD)}
    return bool(shapes) and shapes == {name: tensor.shape for name, tensor in own.items() if name.startswith(HEAD)}


def _check(origin: Origin, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], where: str) -> None:
    missing = [name for name in wanted if name not in found and not name.endswith(COUNTER)]
    unknown = [name for name in found if name not in wanted]
    misshapen = [name for name in wanted if name in found and found[name].shape != wanted[name].shape]
    for names, problem in (
        (missing, "they lack"),
        (unknown, "the network has no"),
        (misshapen, "the network has another shape of"),
        (
            [name for name, tensor in found.items() if not _plain(tensor)],
            "no plain numbers, but codes of few bits, are",
        ),
        (
            [name for name, tensor in found.items() if _plain(tensor) and not _finite(tensor)],
            "not all numbers are finite in",
        ),
    ):
        if names:
            some = ", ".join(name[:80] for name in names[:3]) + (", ..." if len(names) > 3 else "")
            raise DataError(
                f"these are not the `{origin.name}` weights of this network: {problem} {some}",
                where=where,
                mend="the depth and width that the weights were made for, or another file",
            )


def _plain(tensor: Tensor) -> bool:
    """Whether arithmetic knows the type: of floating point, 16 bits or more."""
    return not tensor.is_floating_point() or tensor.element_size() > 1


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
