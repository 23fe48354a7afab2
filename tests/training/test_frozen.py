"""What is frozen keeps its bits while all else learns, and the squared error is that of its definition."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ticketlab.tensors import content_digest
from ticketlab.training.classification import distance_to_one_hot
from ticketlab.training.setup import tensors_of

OBJECTIVES = ["cross_entropy", "squared_error", "pixel_cross_entropy"]
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def made(bench: Callable[..., Any], name: str, optimizer: str = "sgd", **update: str) -> Any:
    found = bench(name, optimizer, masked=False)
    found.objective = found.objective.model_copy(update=update)
    return found


def moved(found: Any, folder: Path) -> set[str]:
    """The tensors that a training with momentum and weight decay changes."""
    training = found.training()
    before = copy.deepcopy(tensors_of(training.trained()))
    found.follow(training, folder)
    after = tensors_of(training.trained())
    return {name for name in before if not torch.equal(before[name], after[name])}


def names(found: Any) -> tuple[set[str], set[str], set[str]]:
    """All tensors of the network, those of its last layer, its running statistics."""
    networks = found.training().trained()
    ((title, network),) = networks.items()
    every = set(tensors_of(networks))
    last = [path for path, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)][-1]
    return (
        every,
        {f"{title}.{last}.{name}" for name in ("weight", "bias")} & every,
        {name for name in every if name.endswith(STATISTICS)},
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_frozen_parts_keep_their_bits_and_all_others_learn(
    bench: Callable[..., Any], objective: str, optimizer: str, tmp_path: Path
) -> None:
    every, last, statistics = names(made(bench, objective))
    assert last
    assert statistics
    plain = moved(made(bench, objective, optimizer), tmp_path / "plain")
    assert plain == every
    head = moved(made(bench, objective, optimizer, last_layer="frozen"), tmp_path / "head")
    assert head == every - last
    both = {"last_layer": "frozen", "normalisation": "frozen"}
    assert moved(made(bench, objective, optimizer, **both), tmp_path / "both") == every - last - statistics


def test_frozen_normalisation_trains_on_what_measuring_sees(bench: Callable[..., Any]) -> None:
    """Running statistics that are no batch's own: the loss of a step is that of the network in eval mode."""
    found = made(bench, "squared_error", normalisation="frozen")
    training, again = found.training(), found.training()
    for one in (training, again):
        for name, tensor in one.network.named_buffers():
            if name.endswith("running_mean"):
                tensor.add_(0.5)
    setup = again._setup
    pixels, labels = setup.batches.at(0)
    outputs = again.network.eval()(setup.scale(setup.augmented(pixels, "pixels", "real", 0)))
    loss = training.step(0)["loss_train"].item()
    assert loss == pytest.approx(distance_to_one_hot(outputs, labels).item(), rel=1e-6)
    outputs = again.network.train()(setup.scale(setup.augmented(pixels, "pixels", "real", 0)))
    assert loss != pytest.approx(distance_to_one_hot(outputs, labels).item(), rel=1e-3)


@pytest.mark.parametrize("until", [1, 3])
def test_a_stopped_training_of_frozen_parts_goes_on_to_the_same_bits(
    bench: Callable[..., Any], until: int, tmp_path: Path
) -> None:
    found = bench("squared_error", "sgd")
    found.objective = found.objective.model_copy(update={"last_layer": "frozen", "normalisation": "frozen"})
    straight = found.training()
    found.follow(straight, tmp_path / "straight")
    found.stopped(tmp_path / "stopped", until)
    resumed = found.training()
    found.follow(resumed, tmp_path / "stopped")
    assert content_digest(resumed.state()) == content_digest(straight.state())


def test_the_squared_error_is_the_mean_over_images_and_classes() -> None:
    outputs, labels = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, 1, 1, 2, 0, 3])
    expected = 0.0
    for row, label in zip(outputs.tolist(), labels.tolist(), strict=True):
        expected += sum((value - (place == label)) ** 2 for place, value in enumerate(row))
    assert distance_to_one_hot(outputs, labels).item() == pytest.approx(expected / 28, rel=1e-6)


def test_scores_derive_the_squared_error_of_private_networks_in_double_precision(bench: Callable[..., Any]) -> None:
    training = made(bench, "squared_error").training()
    network = copy.deepcopy(training.network).double().eval()
    loss = training.losses({"classifier": network}, 0)["classifier"]
    pixels, labels = training._setup.batches.at(0)
    images = training._setup.scale(training._setup.augmented(pixels, "pixels", "real", 0)).double()
    assert loss.dtype == torch.float64
    assert loss.item() == distance_to_one_hot(network(images), labels).item()


def test_a_training_of_no_steps_leaves_the_network_as_it_starts_under_its_mask(
    bench: Callable[..., Any], tmp_path: Path
) -> None:
    found = bench("squared_error", "sgd")
    found.objective = found.objective.model_copy(update={"steps": 0, "warmup": 0})
    training = found.training()
    found.follow(training, tmp_path)
    assert found.rows == []
    bare = bench("squared_error", "sgd", masked=False).training().network
    for name, value in training.network.state_dict().items():
        start = bare.state_dict()[name]
        assert torch.equal(value[value != 0], start[value != 0])
    assert any(bool((value == 0).sum() > value.numel() / 3) for value in training.network.state_dict().values())
