"""Masks are bit for bit those of the pruners their authors published, where a variant says so.

The numbers in `data/published_pruners.*` were computed with the released code on two small networks: a perceptron with
biases and a residual network. Masks are given by the first 16 digits of their digests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.foresight import Grasp, Px, Snip, SynFlow
from ticketlab.spec.structure import AboveThreshold
from ticketlab.spec.ticket import Magnitude
from ticketlab.tickets.draw import draw_round
from ticketlab.tickets.scoring import score

DATA = Path(__file__).parent / "data"
PUBLISHED: dict[str, dict[str, dict[str, Any]]] = json.loads((DATA / "published_pruners.json").read_text())


class Residual(nn.Module):
    """Every way to write a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, 2, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv3, self.bn3 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv_sc, self.bn_sc = nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 10)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        first = self.relu(self.bn1(self.conv1(images)))
        inner = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(first)))))
        return self.head(F.relu(inner + self.bn_sc(self.conv_sc(first))).mean((2, 3)))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 10))


def options_of(method: str, density: float) -> tuple[Drawn, tuple[int, ...]]:
    """The lab's options for a key of the file, ties pruned as there, and the sizes of the probe batches."""
    drawn: dict[str, Any] = {
        "schedule": Schedule(rounds=100 if method.endswith("_100") else 1, density=density),
        "structure": AboveThreshold(),
    }
    sizes = (10, 10) if "2batches" in method else (20,)
    mode = "train" if method.endswith("_train") else "eval"
    family = method.partition("_")[0]
    if family == "px":
        return Px(**drawn, variant="px_cvpr24" if "cvpr24" in method else "px_eval"), sizes
    if family in ("snip", "grasp"):
        return {"snip": Snip, "grasp": Grasp}[family](**drawn, mode=mode), sizes
    if family == "synflow":
        return SynFlow(**drawn, variant="released"), sizes
    return Magnitude(**drawn), sizes


@pytest.fixture
def published(bench: Callable[..., Any]) -> Callable[[str], Any]:
    def loaded(name: str) -> Any:
        with np.load(DATA / "published_pruners.npz", allow_pickle=False) as arrays:
            found = {
                key.removeprefix(f"{name}/"): torch.from_numpy(arrays[key])
                for key in arrays.files
                if key.startswith(name)
            }
        made = bench({"classifier": {"mlp": perceptron, "residual": Residual}[name]()})
        made.images, made.labels = found.pop("inputs"), found.pop("labels")
        made.networks["classifier"].load_state_dict(found, strict=False)
        return made

    return loaded


@pytest.mark.parametrize(("network", "method"), [(name, method) for name in PUBLISHED for method in PUBLISHED[name]])
def test_masks_and_scores_are_those_of_the_published_pruner(
    network: str, method: str, published: Callable[[str], Any]
) -> None:
    subject_of = published(network)
    for density in ("0.5", "0.1", "0.02"):
        options, sizes = options_of(method, float(density))
        mask = subject_of.dense
        for number in range(1, options.schedule.rounds + 1):
            scores = score(options, subject_of.subject(mask, sizes))
            if number == 1:
                assert_alike(scores, PUBLISHED[network][method]["scores"])
            mask = draw_round(options, scores, subject_of.kinds, mask, number)
        assert mask.digest()[:16] == PUBLISHED[network][method][density]


class ConvModule(nn.Module):
    """As the released VGG names its parts."""

    def __init__(self, conv: nn.Module, bn: nn.Module) -> None:
        super().__init__()
        self.conv, self.bn = conv, bn

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(images)))


class ReleasedVgg(nn.Module):
    """The lab's layers under their released names."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        parts, found = iter(network.trunk), []
        for part in parts:
            found.append(ConvModule(part, next(parts)) if isinstance(part, nn.Conv2d) else part)
        self.layers, self.fc = nn.Sequential(*found), network.fc

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.layers(images).flatten(1))


@pytest.mark.parametrize("variant", ["px_eval", "px_cvpr24"])
@pytest.mark.parametrize(
    ("model", "released"),
    [
        ("vgg", ReleasedVgg),
        ("mlp", lambda network: nn.Sequential(nn.Flatten(), *network.hidden, network.fc)),
    ],
)
def test_the_labs_models_are_scored_as_the_released_ones_under_their_own_names(
    bench: Callable[..., Any], model: str, released: Callable[[nn.Module], nn.Module], variant: Any
) -> None:
    made = bench(model)
    twin = bench({"classifier": released(made.networks["classifier"])}, *made.images.shape[1:])
    twin.images = made.images
    options = Px(schedule=Schedule(density=0.5), variant=variant)
    found, expected = score(options, made.subject()), score(options, twin.subject())
    assert all(torch.equal(*pair) for pair in zip(found.values(), expected.values(), strict=True))


def assert_alike(scores: dict[str, Tensor], published: list[float]) -> None:
    flat = torch.cat([values.flatten().double() for values in scores.values()])
    some = (flat / flat.abs().max())[:: max(1, len(flat) // 8)][:8]
    assert torch.allclose(some, torch.tensor(published, dtype=torch.float64), atol=2e-5, rtol=0)
