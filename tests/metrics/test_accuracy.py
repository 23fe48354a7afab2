"""Accuracy and loss count every image once and leave the network as it was."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import DataError
from ticketlab.metrics.accuracy import accuracy, classify, loss
from ticketlab.spec.metric import Accuracy, Loss


def scale(images: Tensor) -> Tensor:
    return images.float() / 255


def classifier() -> nn.Sequential:
    draws = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws))
    return network


def images(n: int) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(n)
    pixels = torch.randint(0, 256, (n, 1, 4, 4), generator=draws, dtype=torch.uint8)
    return pixels, torch.randint(0, 3, (n,), generator=draws)


def parts(pixels: Tensor, labels: Tensor, batch: int) -> list[tuple[Tensor, Tensor]]:
    starts = range(0, len(pixels), batch)
    return [(pixels[start : start + batch], labels[start : start + batch]) for start in starts]


@pytest.mark.parametrize("batch", [1, 7, 10, 23, 100])
def test_the_size_of_the_last_batch_does_not_weigh_its_images(batch: int) -> None:
    network, (pixels, labels) = classifier(), images(23)
    logits = network.eval()(scale(pixels)).detach().double()
    found = classify(network, parts(pixels, labels, batch), scale)
    assert torch.equal(found.predicted, logits.argmax(1))
    assert accuracy(Accuracy(), found) == {"accuracy": int((logits.argmax(1) == labels).sum()) / 23}
    assert loss(Loss(), found)["loss"] == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-6)


def test_a_network_that_knows_nothing_loses_the_logarithm_of_the_classes() -> None:
    network = classifier()
    nn.init.zeros_(network[4].weight)
    nn.init.zeros_(network[4].bias)
    pixels, labels = images(12)
    assert loss(Loss(), classify(network, parts(pixels, labels, 5), scale))["loss"] == pytest.approx(math.log(3))


def test_mode_buffers_gradients_and_generator_stay_as_they_were() -> None:
    network, (pixels, labels) = classifier().train(), images(9)
    network[2].eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    generator = torch.get_rng_state()
    classify(network, parts(pixels, labels, 4), scale)
    assert [module.training for module in network] == [True, True, False, True, True]
    assert network.training
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), generator)


def test_the_mode_comes_back_when_the_network_fails() -> None:
    network, (pixels, labels) = classifier().train(), images(9)
    with pytest.raises(RuntimeError):
        classify(network, parts(pixels[:, :, :2], labels, 4), scale)
    assert network.training


def test_no_images_and_missing_labels_are_refused() -> None:
    pixels, labels = images(3)
    with pytest.raises(DataError):
        classify(classifier(), [], scale)
    with pytest.raises(DataError):
        classify(classifier(), [(pixels[:0], labels[:0])], scale)
    with pytest.raises(DataError):
        classify(classifier(), parts(pixels, labels[:2], 4), scale)
