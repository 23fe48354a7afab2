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
VARIANCE = ".running_var"


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


TORCHVISION = Origin(
    "torchvision",
    "supervised on ImageNet; the head too where it has as many classes. DINO's ResNet-50, arXiv 2104.14294, has these names "
    "and no head",
)
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

    The head keeps its initial values where the file has none, or one of another number of classes; a head that the
    network does not have is left. Values take the network's precision and device. DataError, naming the file as `where`, if the file has not every tensor
    that `origin` promises in the shape the network has, has others beside, or values that are no real numbers of 16 bits
    or more, not finite in the network's precision, or variances below zero; then nothing has changed.
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
    """Whether the file's head is for this network, if it is whole: both have one, and of as many classes."""
    theirs, ours = found.get(f"{HEAD}weight"), own.get(f"{HEAD}weight")
    if ours is None or not any(name.startswith(HEAD) for name in found):
        return False
    return theirs is None or theirs.dim() != ours.dim() or len(theirs) == len(ours)


def _check(origin: Origin, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], where: str) -> None:
    problems = {
        "they lack": [name for name in wanted if name not in found and not name.endswith(COUNTER)],
        "the network has no": [name for name in found if name not in wanted],
    }
    for name in wanted:
        if name in found:
            problems.setdefault(_fault(name, found[name], wanted[name]), []).append(name)
    problems.pop("", None)
    for problem, names in problems.items():
        if names:
            some = ", ".join(_told(name, found, wanted) for name in names[:3]) + (", ..." if len(names) > 3 else "")
            raise DataError(
                f"these are not the `{origin.name}` weights of this network: {problem} {some}",
                where=where,
                mend="the depth, width and channels of images that the weights were made for, or another file",
            )


def _fault(name: str, tensor: Tensor, own: Tensor) -> str:
    """Why a tensor of the file cannot become the network's own of that name; empty if it can."""
    if tensor.shape != own.shape:
        return "the network has another shape of"
    if not _plain(tensor, own):
        return "no plain numbers, but codes, truths or complex ones, are"
    if not torch.isfinite(tensor.to(own.dtype)).all():
        return "not all numbers are finite in"
    if name.endswith(VARIANCE) and (tensor < 0).any():
        return "some variances are below zero in"
    return ""


def _told(name: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """A tensor's name, with both shapes where they differ."""
    if name not in found or name not in wanted or found[name].shape == wanted[name].shape:
        return name[:80]
    theirs, ours = ("x".join(map(str, tensors[name].shape)) or "one number" for tensors in (found, wanted))
    return f"{name} ({ours}, in the file {theirs})"


def _plain(tensor: Tensor, own: Tensor) -> bool:
    """Whether a tensor has numbers of the network's kind: real ones of 16 bits or more, integers where it counts."""
    if own.is_floating_point():
        return tensor.is_floating_point() and tensor.element_size() > 1
    return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)
