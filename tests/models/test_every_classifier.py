"""What scoring and measuring rely on holds for every classifier a spec may name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.dropout import set_keys
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.model import Model, ModelChoice
from ticketlab.spec.resolve import resolve
from ticketlab.spec.spec import Spec
from ticketlab.spec.task import CLASSIFIER

SHAPE = ImageShape(3, 32, 5)


def narrow(member: type[ModelChoice]) -> ModelChoice:
    """The member at its usual depth, a few channels wide."""
    usual: Any = member()
    narrower: dict[str, Any] = {"width": 4, "channels": (4, 4)}
    narrower["hidden"] = (16, 8) if isinstance(getattr(usual, "hidden", 0), tuple) else 16
    return member(**{name: value for name, value in narrower.items() if name in member.model_fields})


CLASSIFIERS = [narrow(member) for member in Model.members() if member.trains == CLASSIFIER]  # type: ignore[attr-defined]


@pytest.fixture(params=CLASSIFIERS, ids=lambda options: options.name)
def options(request: pytest.FixtureRequest) -> Any:
    return request.param


def classifier(options: ModelChoice) -> Any:
    network = build(options, SHAPE, Key(1))["classifier"]
    set_keys(network, Key(2))
    return network


def images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_there_are_all_the_families_of_the_pruning_papers() -> None:
    named = {"mlp", "lenet", "plain_conv", "convnet", "resnet", "vgg", "tiny_resnet", "tiny_vgg", "imagenet_resnet"}
    assert named <= {options.name for options in CLASSIFIERS}


def test_logits_are_the_head_of_the_features_and_images_stay(options: ModelChoice) -> None:
    network, given = classifier(options).eval(), images()
    logits = network(given)
    assert logits.shape == (3, 5)
    assert torch.equal(network.head(network.features(given)), logits)
    assert torch.equal(given, images())


def test_every_activation_is_a_relu_module_that_runs_once(options: ModelChoice) -> None:
    network = classifier(options).eval()
    runs = {name: 0 for name, layer in network.named_modules() if isinstance(layer, nn.ReLU)}

    def counted(name: str) -> Callable[..., None]:
        def count(*_: Any) -> None:
            runs[name] += 1

        return count

    for name in runs:
        network.get_submodule(name).register_forward_hook(counted(name))
    network(images())
    assert runs
    assert set(runs.values()) == {1}


def test_activations_are_the_relus_and_nothing_hidden(options: ModelChoice) -> None:
    """With every ReLU made the identity, pooling by maxima aside, the network is affine: no functional activation."""
    network = classifier(options).eval().double()
    for name, layer in list(network.named_modules()):
        parent = network.get_submodule(name.rpartition(".")[0])
        last = name.rpartition(".")[2]
        if isinstance(layer, nn.ReLU):
            setattr(parent, last, nn.Identity())
        elif isinstance(layer, nn.MaxPool2d):
            setattr(parent, last, nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding))
    one, other = images().double(), images().double().flip(0) * 2
    middle = network((one + other) / 2)
    torch.testing.assert_close(middle, (network(one) + network(other)) / 2)


def test_the_same_key_gives_the_same_bits_and_no_global_state_is_touched(options: ModelChoice) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = classifier(options)
    first.train()(images())
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    state = classifier(options).state_dict()
    fresh = classifier(options).state_dict()
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in state.items())


def test_every_weight_of_a_convolution_or_linear_layer_is_prunable_and_learns(options: ModelChoice) -> None:
    network = classifier(options)
    network.train()(images(4)).square().sum().backward()
    weights = prunable({"c": network}, ["c"], ["conv", "linear"])
    matrices = [f"c.{name}" for name, parameter in network.named_parameters() if parameter.dim() > 1]
    assert sorted(weights) == sorted(matrices)
    assert all(weight.parameter.grad is not None for weight in weights.values())
    assert list(weights)[-1] == "c.fc.weight"


def page(model: dict[str, Any], size: int | None) -> Spec:
    written = {
        "name": "x",
        "data": {"dataset": "cifar10", "size": size},
        "model": model,
        "train": {"objective": "cross_entropy", "steps": 10},
    }
    return Spec.model_validate_json(json.dumps(written), strict=True)


def test_a_spec_may_name_it_and_keeps_what_it_says(options: ModelChoice) -> None:
    written = options.model_dump(mode="json")
    assert resolve(page(written, 32), KNOWN["cifar10"]).model == options


@pytest.mark.parametrize(
    ("model", "size", "mend"),
    [
        ({"kind": "vgg"}, 64, "data.size: 32"),
        ({"kind": "vgg"}, 31, "data.size: 32"),
        ({"kind": "tiny_vgg"}, 63, "data.size: 64"),
        ({"kind": "tiny_vgg"}, 16, "data.size: 32"),
    ],
)
def test_images_of_a_size_that_cannot_be_are_refused_when_the_spec_is_read(
    model: dict[str, Any], size: int, mend: str
) -> None:
    with pytest.raises(Impossible, match="pixels") as caught:
        resolve(page(model, size), KNOWN["cifar10"])
    assert caught.value.path == ("data", "size")
    assert caught.value.mend == mend


@pytest.mark.parametrize(
    "model",
    [
        {"kind": "vgg", "depth": 12},
        {"kind": "vgg", "width": 0},
        {"kind": "tiny_resnet", "depth": 101},
        {"kind": "imagenet_resnet", "depth": 20},
        {"kind": "tiny_vgg", "dropout": 1.0},
        {"kind": "tiny_vgg", "hidden": 5000},
    ],
)
def test_values_outside_their_bounds_are_refused(model: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(set(model) - {"kind"}))):
        page(model, 32)
