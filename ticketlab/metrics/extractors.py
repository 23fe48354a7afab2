"""Networks whose features stand for images: seeded random ones, and classifiers trained by the lab."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ticketlab.datasets.batches import Scaling
from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import CorruptFile, DataError, Diverged, SpecError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.metrics.evaluation_mode import evaluation_mode
from ticketlab.models.build import build
from ticketlab.randomness import Key
from ticketlab.tensors import content_digest

if TYPE_CHECKING:
    from ticketlab.spec.evaluate import LabClassifier, RandomConv


@dataclass(frozen=True, eq=False)
class FeatureExtractor:
    """A fixed network from uint8 images to `dim` features; `name` and `pipeline` say which, the digest proves it.

    `head` is the linear layer from features to the logits of classes, where the network was trained to tell some apart.
    """

    name: str
    dim: int
    pipeline: str
    weights_sha256: str
    network: nn.Module
    head: nn.Linear | None = None

    def features(self, images: Tensor, batch: int) -> NDArray[np.float64]:
        """Features (n, dim) of uint8 `images` (n, C, S, S), computed `batch` at a time on the network's device.

        Images are 8-bit because the protocol is: `quantise` generated ones first. A row does not depend on `batch`
        beyond float32 rounding (1e-5). DataError if a feature is not finite.
        """
        assert images.dtype == torch.uint8, "features are defined on 8-bit images"
        device = next(self.network.parameters()).device
        rows = np.empty((len(images), self.dim))
        with evaluation_mode(self.network):
            for start in range(0, len(images), batch):
                some = images[start : start + batch].to(device)
                rows[start : start + batch] = self.network(some).cpu().numpy()
        if not np.isfinite(rows).all():
            raise DataError(f"the extractor {self.name} gave features that are not finite")
        return rows

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """What it takes images with these features (n, dim) for: a probability for each class (n, classes), in float64.

        SpecError for an extractor without classes.
        """
        if self.head is None:
            raise SpecError(f"the extractor {self.name} has no classes", where="evaluate.extractor")
        parts = {name: part.detach().cpu().double() for name, part in self.head.named_parameters()}
        logits = F.linear(torch.from_numpy(features), parts["weight"], parts.get("bias"))
        return np.asarray(logits.softmax(1).numpy())

    def look(self, images: Tensor) -> Tensor:
        """Features (n, dim) of images (n, C, S, S) with values from 0 to 255, bytes or not, on the network's device.

        Unlike `features` it is differentiable, and rounds nothing to 8 bits; the network's own weights stay still.
        """
        features: Tensor = self.network(images)
        return features


def quantise(images: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8: round(clamp((x + 1) / 2, 0, 1) * 255). Diverged if a pixel is not finite."""
    if not bool(torch.isfinite(images).all()):
        raise Diverged("generated images hold values that are not finite")
    return images.add(1).div(2).clamp(0, 1).mul(255).round().to(torch.uint8)


def random_conv(options: RandomConv, shape: ImageShape) -> FeatureExtractor:
    """Three strided convolutions of random weights, mean-pooled: 4 x width features, the same on every machine."""
    network = RandomConvolutions(shape.channels, options.width, Key(options.seed).of("extractor", "random_conv"))
    pipeline = f"uint8 {shape.channels}x{shape.size}x{shape.size}, v/127.5-1"
    digest = content_digest(network.state_dict())
    return FeatureExtractor(f"randconv-s{options.seed}", 4 * options.width, pipeline, digest, network.eval())


def lab_classifier(
    options: LabClassifier,
    shape: ImageShape,
    state: Mapping[str, Tensor],
    *,
    dataset: str,
    scaling: Scaling,
) -> FeatureExtractor:
    """The penultimate layer of a classifier of `options.model` with the trained weights `state`.

    `dataset` is what it was trained on and `scaling` how its images were scaled, which becomes part of the pipeline.
    CorruptFile if `state` does not fit the model; SpecError if the model is no classifier.
    """
    networks = build(options.model, shape, Key(0))
    if "classifier" not in networks:
        raise SpecError(f"{options.model.made_by} makes no classifier", where="evaluate.extractor.model")
    classifier = networks["classifier"]
    try:
        classifier.load_state_dict(state, strict=True)
    except RuntimeError as reason:
        raise CorruptFile(f"the extractor's weights do not fit its model: {reason}") from reason
    network = PenultimateLayer(classifier, scaling).eval().requires_grad_(False)
    probe = torch.zeros(1, shape.channels, shape.size, shape.size, dtype=torch.uint8)
    with evaluation_mode(network):
        dim = network(probe).shape[1]
    gain, offset = (" ".join(map(repr, values)) for values in (scaling.gain, scaling.offset))
    pipeline = f"uint8 {shape.channels}x{shape.size}x{shape.size}, v/255 * ({gain}) + ({offset})"
    digest = content_digest(classifier.state_dict())
    head = getattr(classifier, "fc", None)
    name = _lab_name(options, dataset)
    return FeatureExtractor(name, dim, pipeline, digest, network, head if isinstance(head, nn.Linear) else None)


def _lab_name(options: LabClassifier, dataset: str) -> str:
    """`labclassifier-<dataset>`, and what distinguishes it from the default, so that no two have one name and one curve.

    That is the model as `-<kind>-<6 digits of the digest of its options>`, and the length of its training as `-<n>steps`.
    """
    default, name = options.usual, f"labclassifier-{dataset}"
    if options.model != default.model:
        name += f"-{options.model.name}-{sha256_bytes(canonical_json(options.model.counting()))[:6]}"
    return name if options.steps == default.steps else f"{name}-{options.steps}steps"


class RandomConvolutions(nn.Module):
    """Three 3x3 convolutions of stride 2 with ReLU and no bias, then the mean over the plane.

    Weights are uniform with He's variance 2 / fan_in. Uniform draws and one scaling are exact arithmetic, so the
    weights' digest is the same on every machine, which normal or orthogonal draws do not promise.
    """

    def __init__(self, channels: int, width: int, key: Key) -> None:
        super().__init__()
        sizes = (channels, width, 2 * width, 4 * width)
        self.weights = nn.ParameterList(
            nn.Parameter(_he_uniform((after, before, 3, 3), key.of(layer)), requires_grad=False)
            for layer, (before, after) in enumerate(pairwise(sizes))
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, 4 width) of uint8 `images`."""
        signal = images.float() / 127.5 - 1
        for weight in self.weights:
            signal = F.relu(F.conv2d(signal, weight, stride=2, padding=1))
        return signal.mean((2, 3))


class PenultimateLayer(nn.Module):
    """A classifier without its head, taking uint8 images."""

    def __init__(self, classifier: nn.Module, scaling: Scaling) -> None:
        super().__init__()
        self.classifier = classifier
        self.scaling = scaling

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, d) of uint8 `images`."""
        features = cast("Callable[[Tensor], Tensor]", self.classifier.features)
        return features(self.scaling(images))


def _he_uniform(shape: tuple[int, int, int, int], key: Key) -> Tensor:
    bound = math.sqrt(6 / math.prod(shape[1:]))
    return (torch.rand(shape, generator=key.generator(), dtype=torch.float32) * 2 - 1) * bound
