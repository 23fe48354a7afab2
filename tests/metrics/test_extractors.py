"""Feature extractors: fixed, named by their weights, the same for every batch size."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import Tensor

from ticketlab.datasets.batches import Scaling
from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import CorruptFile, DataError, Diverged, SpecError
from ticketlab.metrics import names
from ticketlab.metrics.extractors import FeatureExtractor, lab_classifier, quantise, random_conv
from ticketlab.models.build import build
from ticketlab.randomness import Key
from ticketlab.spec.evaluate import LabClassifier, RandomConv
from ticketlab.spec.model import Convnet, Mlp, Sngan, Vgg
from ticketlab.tensors import content_digest

GREY = ImageShape(1, 28, 10)
COLOUR = ImageShape(3, 32, 10)
SCALING = Scaling.of("symmetric", (), ())


def pixels(n: int, shape: ImageShape) -> Tensor:
    size = (n, shape.channels, shape.size, shape.size)
    return torch.randint(0, 256, size, generator=torch.Generator().manual_seed(n), dtype=torch.uint8)


def lab(options: LabClassifier, shape: ImageShape, seed: int = 1) -> FeatureExtractor:
    state = build(options.model, shape, Key(seed))["classifier"].state_dict()
    return lab_classifier(options, shape, state, dataset="fashion", scaling=SCALING)


SMALL_LAB = LabClassifier(model=Convnet(width=4))
EXTRACTORS = {
    "random, grey": (random_conv(RandomConv(width=8), GREY), GREY),
    "random, colour": (random_conv(RandomConv(width=8), COLOUR), COLOUR),
    "convnet": (lab(SMALL_LAB, COLOUR), COLOUR),
    "mlp": (lab(LabClassifier(model=Mlp(hidden=(20, 12))), GREY), GREY),
}


@pytest.mark.parametrize("which", EXTRACTORS)
def test_features_do_not_depend_on_the_batch_size(which: str) -> None:
    extractor, shape = EXTRACTORS[which]
    images = pixels(33, shape)
    whole = extractor.features(images, 256)
    assert whole.shape == (33, extractor.dim)
    assert whole.dtype == np.float64
    for batch in (1, 7, 32):
        np.testing.assert_allclose(extractor.features(images, batch), whole, rtol=1e-5, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("which", EXTRACTORS)
def test_measuring_leaves_weights_buffers_and_generator_alone(which: str) -> None:
    extractor, shape = EXTRACTORS[which]
    before = content_digest(extractor.network.state_dict()), torch.get_rng_state()
    features = extractor.features(pixels(6, shape), 4)
    assert content_digest(extractor.network.state_dict()) == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert np.array_equal(extractor.features(pixels(6, shape), 4), features)


def test_the_random_network_is_the_same_everywhere_and_another_for_another_seed() -> None:
    generator = torch.get_rng_state()
    extractor = random_conv(RandomConv(width=2), GREY)
    assert torch.equal(torch.get_rng_state(), generator)
    assert (extractor.name, extractor.dim, extractor.pipeline) == ("randconv-s0", 8, "uint8 1x28x28, v/127.5-1")
    assert extractor.weights_sha256 == "554e48a27229db155e3ab885fb61e96101ea5ddb2da467267bda97f563d4ae39"
    assert random_conv(RandomConv(width=2, seed=1), GREY).weights_sha256 != extractor.weights_sha256


def test_random_weights_have_the_variance_that_keeps_the_signal() -> None:
    weights = [weight.detach() for weight in EXTRACTORS["random, colour"][0].network.parameters()]
    assert [tuple(weight.shape) for weight in weights] == [(8, 3, 3, 3), (16, 8, 3, 3), (32, 16, 3, 3)]
    for weight in weights:
        assert float(weight.var()) == pytest.approx(2 / weight[0].numel(), rel=0.2)


def test_random_features_tell_noise_from_images() -> None:
    ramp = torch.arange(28, dtype=torch.float32).mul(9).to(torch.uint8).expand(1, 1, 28, 28)
    extractor = random_conv(RandomConv(width=8), GREY)
    clean, noisy = extractor.features(ramp, 1), extractor.features(pixels(1, GREY), 1)
    assert np.linalg.norm(clean - noisy) > 0.1 * np.linalg.norm(clean)


def test_the_lab_classifier_gives_the_penultimate_layer_of_the_trained_weights() -> None:
    classifier = build(SMALL_LAB.model, COLOUR, Key(1))["classifier"].eval()
    extractor = lab(SMALL_LAB, COLOUR)
    with torch.no_grad():
        expected = classifier.features(SCALING(pixels(5, COLOUR)))
    np.testing.assert_allclose(extractor.features(pixels(5, COLOUR), 5), expected.numpy(), rtol=1e-6)
    assert extractor.pipeline == "uint8 3x32x32, v/255 * (2.0) + (-1.0)"
    assert extractor.weights_sha256 == content_digest(classifier.state_dict())


def test_the_name_tells_apart_lab_classifiers_whose_distances_cannot_be_compared() -> None:
    options = [
        LabClassifier(),
        LabClassifier(steps=200),
        SMALL_LAB,
        LabClassifier(model=Convnet(width=5)),
        LabClassifier(model=Vgg(depth=11)),
        LabClassifier(model=Vgg(depth=11), steps=200),
    ]
    given = [lab(one, COLOUR).name for one in options]
    assert given[:2] == ["labclassifier-fashion", "labclassifier-fashion-200steps"]
    assert len(set(given)) == len(given)
    assert re.fullmatch(r"labclassifier-fashion-vgg-[0-9a-f]{6}-200steps", given[-1])
    assert all(names.frechet_key(name, 8).startswith("fd_labclassifier-fashion") for name in given)
    assert LabClassifier(steps=1000) == options[0], "the default, spelled out, keeps its name"


def test_weights_of_another_model_are_refused() -> None:
    state = build(Convnet(width=5), COLOUR, Key(0))["classifier"].state_dict()
    with pytest.raises(CorruptFile, match="do not fit"):
        lab_classifier(SMALL_LAB, COLOUR, state, dataset="d", scaling=SCALING)


def test_a_gan_cannot_be_an_extractor() -> None:
    options = LabClassifier(model=Sngan(width=4, critic_width=4, latent=4))
    with pytest.raises(SpecError, match="no classifier"):
        lab_classifier(options, COLOUR, {}, dataset="d", scaling=SCALING)


def test_features_that_are_not_finite_are_refused() -> None:
    state = build(SMALL_LAB.model, COLOUR, Key(0))["classifier"].state_dict()
    state = {name: value * float("nan") if value.is_floating_point() else value for name, value in state.items()}
    broken = lab_classifier(SMALL_LAB, COLOUR, state, dataset="d", scaling=SCALING)
    with pytest.raises(DataError, match="not finite"):
        broken.features(pixels(2, COLOUR), 2)


def test_the_digest_sees_every_part_of_the_weights_but_not_their_order_or_layout() -> None:
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}
    same = {"b": torch.tensor(3), "a": torch.arange(6.0).reshape(2, 3).T.contiguous().T}
    digest = content_digest(state)
    assert content_digest(same) == digest
    others = [
        {"c": state["a"], "b": state["b"]},
        {"a": state["a"].reshape(3, 2), "b": state["b"]},
        {"a": state["a"].view(torch.int32), "b": state["b"]},
        {"a": state["a"], "b": torch.tensor(4)},
        {"a": state["a"]},
    ]
    assert len({digest, *map(content_digest, others)}) == 6
    assert content_digest({"a": torch.zeros(2, dtype=torch.bfloat16)}) != content_digest({"a": torch.zeros(2)})


def test_every_8_bit_value_survives_the_way_to_the_unit_interval_and_back() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(quantise(values.float() / 127.5 - 1), values)
    assert quantise(torch.tensor([-3.0, -1.0, 0.1, 1.0, 7.0])).tolist() == [0, 0, 140, 255, 255]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_pixels_that_are_not_finite_are_a_divergence(bad: float) -> None:
    with pytest.raises(Diverged):
        quantise(torch.tensor([0.0, bad]))
