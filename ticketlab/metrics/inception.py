"""Torchvision's Inception-v3 as a feature extractor, from a file of its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.inception import Inception3

from ticketlab.errors import DataError
from ticketlab.metrics.extractors import FeatureExtractor
from ticketlab.models.weights_file import read
from ticketlab.randomness import Key
from ticketlab.tensors import content_digest

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.evaluate import Inception

SIDE = 299
"""Pixels of the images that the network was trained on."""

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of ImageNet's colours in [0, 1]: what torchvision's weights expect to be taken off and divided by."""

AUXILIARY = "AuxLogits."
"""The second classifier, which only helps to train the network."""

TENSORFLOW_CLASSES = 1008
"""Of the network of the FID: it has tensors of the same names and other pools, so here it would see wrong features."""

_NAMED_BY = 8


def inception(options: Inception, shape: ImageShape) -> FeatureExtractor:
    """The 2048 features of the last average pool, and the classes of the file's own head.

    Grey images are seen as three equal colours. DataError, naming the file, if it is not such weights or the images
    have another number of channels. Files differ, so the name says which: by the first digits of its sha256.
    """
    if shape.channels not in (1, len(MEAN)):
        raise DataError(
            f"Inception-v3 looks at colours, and these images have {shape.channels} channels",
            mend="evaluate.extractor.kind: random_conv",
        )
    tensors = read(Path(options.file))
    used = {name: value for name, value in tensors.items() if not name.startswith(AUXILIARY)}
    network = _loaded(used, options.file)
    head, dim = network.fc, network.fc.in_features
    digest = content_digest(network.state_dict())
    network.fc = nn.Identity()
    looking = LastPool(network).eval().requires_grad_(False)
    pipeline = (
        f"uint8 {shape.channels}x{shape.size}x{shape.size}, bilinear to {SIDE} (half-pixel centres, no antialias), "
        f"(v/255 - ({' '.join(map(str, MEAN))})) / ({' '.join(map(str, DEVIATION))})"
    )
    return FeatureExtractor(f"inception-v3-{options.sha256[:_NAMED_BY]}", dim, pipeline, digest, looking, head)


class LastPool(nn.Module):
    """Inception-v3 without its head, taking uint8 images or numbers in their range."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, 2048) of `images` (n, 1 or 3, S, S) with values from 0 to 255."""
        unit = images.float().expand(-1, len(MEAN), -1, -1) / 255
        large = F.interpolate(unit, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=False)
        features: Tensor = self.network((large - self.mean) / self.deviation)
        return features


def noise(options: Inception) -> dict[str, Tensor]:
    """Tensors with names and shapes as in torchvision's file, of no training: what smoke runs look through instead.

    Convolutions are uniform with He's variance, so that signals neither die nor overflow on their way.
    """
    key = Key(0).of("stand-in", "inception")
    return {name: _noise(name, tensor, key.of(name)) for name, tensor in _network(1000).state_dict().items()}


def _noise(name: str, like: Tensor, key: Key) -> Tensor:
    if like.dim() > 1:
        bound = math.sqrt(6 / math.prod(like.shape[1:]))
        return (torch.rand(like.shape, generator=key.generator()) * 2 - 1) * bound
    filled = torch.ones if name.endswith(("bn.weight", "running_var")) else torch.zeros
    return filled(like.shape, dtype=like.dtype)


def _network(classes: int) -> Inception3:
    """The network with neither weights nor memory for them, so that nothing is drawn.

    `transform_input`, as torchvision has it with its weights: they were trained on colours in [-1, 1].
    """
    with torch.device("meta"):
        return Inception3(num_classes=classes, aux_logits=False, transform_input=True, init_weights=False)


def _loaded(tensors: Mapping[str, Tensor], where: str) -> Inception3:
    """The network with the tensors of a file as its own, in single precision."""
    head = tensors.get("fc.weight")
    if head is not None and len(head.shape) > 1 and len(head) == TENSORFLOW_CLASSES:
        raise _refused("with 1008 classes they are TensorFlow's, and so is the network they fit", where)
    network = _network(len(head) if head is not None and head.dim() else 1)
    single = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    try:
        network.load_state_dict(single, strict=True, assign=True)
    except RuntimeError as reason:
        raise _refused(str(reason).splitlines()[1].strip()[:200], where) from None
    if not all(bool(value.isfinite().all()) for value in single.values()):
        raise _refused("not all of their numbers are finite", where)
    return network


def _refused(what: str, where: str) -> DataError:
    return DataError(
        f"these are not the weights of torchvision's Inception-v3: {what}",
        where=where,
        mend="torchvision's inception_v3_google-0cc3c7bd.pth, or a state dict of its `inception_v3`",
    )
