"""Torchvision's Inception-v3 from a file: its features are torchvision's own, and other files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.transforms.functional import normalize

from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import DataError
from ticketlab.files import sha256_file
from ticketlab.metrics.extractors import FeatureExtractor
from ticketlab.metrics.inception import DEVIATION, MEAN, inception, noise
from ticketlab.spec.evaluate import Inception

COLOUR = ImageShape(3, 32, 10)


def file_of(tensors: dict[str, Tensor], folder: Path) -> Inception:
    path = folder / "inception.pth"
    torch.save(tensors, path)
    return Inception(file=str(path), sha256=sha256_file(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """Torchvision's own network with its auxiliary classifier, of seeded random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = torchvision.models.inception_v3(init_weights=False, transform_input=True, aux_logits=True)
        for name, tensor in network.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(std=0.1)
    network.load_state_dict(noise(Inception(file="x", sha256="0" * 64)), strict=False)
    return network.eval()


@pytest.fixture(scope="module")
def extractor(theirs: nn.Module, folder: Path) -> FeatureExtractor:
    return inception(file_of(theirs.state_dict(), folder), COLOUR)


def pixels(n: int, channels: int = 3, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(n)
    return torch.randint(0, 256, (n, channels, size, size), generator=generator, dtype=torch.uint8)


@torch.no_grad()
def by_torchvision(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features of the last pool and probabilities, by torchvision's own forward pass and normalisation."""
    pooled: list[Tensor] = []
    hook = network.avgpool.register_forward_hook(lambda _, __, output: pooled.append(output.flatten(1)))  # type: ignore[union-attr, operator]
    large = F.interpolate(images.float() / 255, size=299, mode="bilinear", align_corners=False)
    logits = network(normalize(large, list(MEAN), list(DEVIATION)))
    hook.remove()
    return pooled[0], logits.double().softmax(1)


def test_features_and_classes_are_torchvisions(extractor: FeatureExtractor, theirs: nn.Module) -> None:
    images = pixels(3)
    features, probabilities = by_torchvision(theirs, images)
    assert features.std() > 1e-3, "a network that says the same of everything proves nothing"
    found = extractor.features(images, 2)
    assert found.shape == (3, extractor.dim) == (3, 2048)
    np.testing.assert_allclose(found, features.numpy(), rtol=1e-3, atol=1e-4 * float(features.abs().max()))
    shares = extractor.probabilities(found)
    assert shares.shape == (3, 1000)
    np.testing.assert_allclose(shares, probabilities.numpy(), rtol=1e-2, atol=1e-6)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-12)


def test_it_is_named_after_its_file_and_never_the_fid(extractor: FeatureExtractor, folder: Path) -> None:
    assert extractor.name == f"inception-v3-{sha256_file(folder / 'inception.pth')[:8]}"
    assert "fid" not in extractor.name
    assert "bilinear to 299 (half-pixel centres, no antialias)" in extractor.pipeline


def test_weights_stay_still_and_gradients_reach_the_images(extractor: FeatureExtractor) -> None:
    state = torch.get_rng_state()
    image = pixels(1).float().requires_grad_()
    extractor.look(image).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in extractor.network.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_files_that_are_not_its_weights_are_refused_by_name(theirs: nn.Module, tmp_path: Path) -> None:
    tensors = theirs.state_dict()
    first = "Conv2d_1a_3x3.conv.weight"
    for wrong, said in (
        ({name: value for name, value in tensors.items() if name != first}, first),
        ({**tensors, "extra": torch.ones(2)}, "extra"),
        ({**tensors, first: torch.ones(2, 3, 3, 3)}, first),
        ({**tensors, first: tensors[first] * torch.nan}, "finite"),
        ({"fc.weight": torch.ones(())}, "Missing"),
        ({**tensors, "fc.weight": torch.ones(1008, 2048), "fc.bias": torch.ones(1008)}, "TensorFlow's"),
    ):
        options = file_of(wrong, tmp_path)
        with pytest.raises(DataError, match=said) as caught:
            inception(options, COLOUR)
        assert caught.value.where == options.file
        assert caught.value.mend


def test_grey_images_are_three_equal_colours_and_other_channels_are_refused(
    extractor: FeatureExtractor, folder: Path
) -> None:
    path = folder / "inception.pth"
    options = Inception(file=str(path), sha256=sha256_file(path))
    grey = pixels(2, channels=1, size=28)
    seen = inception(options, ImageShape(1, 28, 10)).features(grey, 2)
    np.testing.assert_array_equal(seen, extractor.features(grey.expand(-1, 3, -1, -1).contiguous(), 2))
    with pytest.raises(DataError, match="4 channels"):
        inception(options, ImageShape(4, 28, 10))


def test_noise_has_the_layout_of_the_file_and_is_always_the_same(theirs: nn.Module) -> None:
    options = Inception(file="x", sha256="0" * 64)
    made, again = noise(options), noise(options)
    shapes = {n: v.shape for n, v in theirs.state_dict().items() if not n.startswith("AuxLogits.")}
    assert {name: value.shape for name, value in made.items()} == shapes
    assert all(torch.equal(value, again[name]) for name, value in made.items())
