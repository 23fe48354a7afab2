"""The shipped pages are the published recipes: one table, each row with the place in the paper or the code it is from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from ticketlab.run.reading import load_spec
from ticketlab.spec.rate_schedule import Constant, Milestones
from ticketlab.spec.spec import Spec
from ticketlab.spec.yaml_positions import read_page

SPECS = Path(__file__).parents[2] / "specs"
FOLDERS = ("px", "synflow", "lottery-ticket")

SHORTER = {
    "lottery-ticket/lenet-fashion-mnist-mini": "on the tenth of Fashion-MNIST that comes with the repository",
    "px/foresight-cifar10-reduced": "a fifth of CIFAR-10, two epochs",
    "px/resnet50-imagenet10-zero-shot": "measures before any training",
}
"""The pages that train shorter than anybody published, with what they are instead."""


@dataclass(frozen=True)
class Training:
    """Steps and images a step; momentum is None for Adam; `drops` are the steps at which the rate is cut to `factor` of itself."""

    steps: int
    batch: int
    lr: float
    weight_decay: float
    momentum: float | None = 0.9
    nesterov: bool = False
    drops: tuple[int, ...] = ()
    factor: float | None = None
    warmup: int = 0


@dataclass(frozen=True)
class Recipe:
    """A training, the rounds each method draws in, the densities kept, of `all` weights or by kind of layer.

    None is for what nobody published.
    """

    source: str
    training: Training
    rounds: dict[str, set[int]] | None = None
    densities: list[dict[str, float]] | None = None


CIFAR, TINY, TINY_BY_128, IMAGENET, VOC, TASK = 391, 391, 782, 2860, 366, 203
"""Batches of an epoch, the last one short: 50,000 images by 128, 100,000 by 256 and by 128, 1,281,167 by 448, 1464 by 4, 13,000 by 64."""

GRID = [{"all": 0.8**k} for k in range(2, 19, 2)]
COMPRESSIONS = [{"all": 10 ** -(quarter / 4)} for quarter in range(1, 13)]
FORESIGHT = {"synflow": {100}, "snip": {1}, "grasp": {1}, "magnitude": {1}, "random": {1}}
PX = {"px": {100}}

RESNET20 = Training(160 * CIFAR, 128, 0.1, 1e-4, drops=(80 * CIFAR, 120 * CIFAR), factor=0.1)
PRETRAINED = Recipe(
    "Path eXclusion's repository, launch script for CIFAR-100 from pre-trained weights: 182 epochs, drops at 91, 136",
    Training(182 * 196, 256, 0.1, 1e-4, drops=(91 * 196, 136 * 196), factor=0.1),
    PX,
)
PRETRAINED_TINY = Recipe(
    "the same on Tiny ImageNet: 182 epochs, drops at 91, 136",
    Training(182 * TINY, 256, 0.1, 1e-4, drops=(91 * TINY, 136 * TINY), factor=0.1),
    PX,
)
MNIST = Training(8000, 60, 1.2e-3, 1e-4, momentum=None)
FIFTH = [{"linear": 0.2}]

PUBLISHED = {
    "px/resnet20-cifar10": Recipe(
        "Path eXclusion's repository, launch script for ResNet-20 on CIFAR-10: 160 epochs, drops at 80, 120, density 0.018",
        RESNET20,
        PX,
        [{"all": 0.018}],
    ),
    "px/foresight-cifar10-grid": Recipe(
        "the same, at the densities of NTK-SAP's experiments; SynFlow's 100 rounds are its paper's, NTK-SAP's 20 its run script's",
        RESNET20,
        {**FORESIGHT, "px": {100}, "ntk_sap": {20}},
        GRID,
    ),
    "px/vgg16-cifar100": Recipe(
        "Path eXclusion's repository, settings of VGG16-BN on CIFAR-100: its default of 160 epochs, drops at 60, 120; densities of NTK-SAP",
        Training(160 * CIFAR, 128, 0.1, 5e-4, nesterov=True, drops=(60 * CIFAR, 120 * CIFAR), factor=0.1),
        PX,
        GRID,
    ),
    "px/resnet18-tiny-imagenet": Recipe(
        "Path eXclusion's repository, launch script for ResNet-18 on Tiny ImageNet: 200 epochs, drops at 100, 150; densities of NTK-SAP",
        Training(200 * TINY, 256, 0.2, 1e-4, drops=(100 * TINY, 150 * TINY), factor=0.1),
        PX,
        GRID,
    ),
    "px/resnet50-imagenet": Recipe(
        "Path eXclusion's repository, launch script for ResNet-50 on ImageNet: 90 epochs, drops at 30, 60, 80; densities of NTK-SAP",
        Training(90 * IMAGENET, 448, 0.1, 1e-4, drops=(30 * IMAGENET, 60 * IMAGENET, 80 * IMAGENET), factor=0.1),
        PX,
        GRID,
    ),
    "px/resnet50-pretrained-cifar": PRETRAINED,
    "px/resnet50-moco-cifar": PRETRAINED,
    "px/resnet50-pretrained-tiny-imagenet": PRETRAINED_TINY,
    "px/resnet50-moco-tiny-imagenet": PRETRAINED_TINY,
    "px/resnet50-imagenet10": Recipe(
        "Path eXclusion's repository, launch script for the ten ImageNet tasks (of arXiv 2509.24066): 90 epochs, drops at 30, 60, 80",
        Training(90 * TASK, 64, 5e-5, 1e-4, drops=(30 * TASK, 60 * TASK, 80 * TASK), factor=0.1),
        PX,
    ),
    "px/deeplab-voc2012": Recipe(
        "Path eXclusion's repository, launch script for PASCAL VOC 2012: 80 epochs, drops at 50, 60, head at 0.01",
        Training(80 * VOC, 4, 0.01, 1e-4, drops=(50 * VOC, 60 * VOC), factor=0.1),
        PX,
    ),
    "synflow/vgg-cifar": Recipe(
        "SynFlow's repository, argument files of VGG on CIFAR: 160 epochs, drops at 60, 120; compressions of its results' arrays",
        Training(160 * CIFAR, 128, 0.1, 1e-4, nesterov=True, drops=(60 * CIFAR, 120 * CIFAR), factor=0.1),
        FORESIGHT,
        COMPRESSIONS,
    ),
    "synflow/resnet18-cifar": Recipe(
        "SynFlow's paper, appendix on hyperparameters, ResNet-18 (from memory): drops by 5 at 60, 120; compressions of its arrays",
        Training(160 * CIFAR, 128, 0.01, 5e-4, nesterov=True, drops=(60 * CIFAR, 120 * CIFAR), factor=0.2),
        FORESIGHT,
        COMPRESSIONS,
    ),
    "synflow/tiny-imagenet": Recipe(
        "SynFlow's paper, appendix on hyperparameters, Tiny ImageNet (from memory): 100 epochs, drops at 30, 60, 80",
        Training(
            100 * TINY_BY_128,
            128,
            0.01,
            1e-4,
            nesterov=True,
            drops=(30 * TINY_BY_128, 60 * TINY_BY_128, 80 * TINY_BY_128),
            factor=0.1,
        ),
        FORESIGHT,
        COMPRESSIONS,
    ),
    "synflow/vgg11-cifar10-iterative": Recipe(
        "SynFlow's paper, figure 5a, as run by its repository: 50 epochs a round at 0.01, up to five rounds",
        Training(50 * CIFAR, 128, 0.01, 1e-4, nesterov=True),
        {"magnitude": {1, 2, 3, 4, 5}},
    ),
    "lottery-ticket/mlp-mnist-iterative": Recipe(
        "the LotteryTicket repository, MNIST example: masks after four rounds, 8000 iterations of 60 images, linear layers to 0.2",
        MNIST,
        {"magnitude": {4}},
        FIFTH,
    ),
    "lottery-ticket/mlp-mnist-rewind": Recipe(
        "the same; survivors return to an early step as in arXiv 1912.05671, section 4",
        MNIST,
        {"magnitude": {4}},
        FIFTH,
    ),
    "lottery-ticket/mlp-mnist-single-shot": Recipe(
        "the LotteryTicket repository, MNIST example: masks in one round", MNIST, {"magnitude": {1}}, FIFTH
    ),
    "lottery-ticket/lenet-mnist-apart": Recipe(
        "the LotteryTicket repository, MNIST example with its convolutional network; its densities and another",
        MNIST,
        {"magnitude": {4}},
    ),
    "lottery-ticket/resnet20-cifar10-rewind": Recipe(
        "the OpenLTH repository (of the authors of arXiv 1912.05671), defaults of its CIFAR ResNet: 160 epochs, drops at 80, 120, a fifth pruned a round",
        RESNET20,
    ),
}
"""By page, in epochs as the sources count them."""


@cache
def read(page: str) -> tuple[Spec, ...]:
    """The cells of a shipped page; of axes that are none of the ticket's or the training's, the first value alone."""
    file = SPECS / f"{page}.yaml"
    axes = read_page(file.read_bytes(), page).data.get("matrix", {})
    firsts = {axis: values[:1] for axis, values in axes.items() if axis.split(".")[0] not in ("ticket", "train")}
    loaded = load_spec(file, [f"matrix.{axis}={json.dumps(first)}" for axis, first in firsts.items()])
    return tuple(cell.spec for cell in loaded.cells)


def training(spec: Spec) -> Training:
    """What a page says of its training, drops in steps."""
    train = spec.train.model_dump()
    optimizer, rate = train["optimizer"], spec.train.rate_schedule
    assert isinstance(rate, Constant | Milestones), "no published recipe here has another rate schedule"
    drops = tuple(math.floor(point * spec.train.steps) for point in getattr(rate, "at", ()))
    return Training(
        spec.train.steps,
        spec.train.batch,
        optimizer["lr"],
        optimizer["weight_decay"],
        optimizer.get("momentum"),
        optimizer.get("nesterov", False),
        drops,
        getattr(rate, "factor", None),
        train["warmup"],
    )


def rounds(cells: tuple[Spec, ...]) -> dict[str, set[int]]:
    """The numbers of rounds that a page gives each of its methods."""
    found: dict[str, set[int]] = {}
    for spec in cells:
        ticket = spec.ticket.model_dump()
        found.setdefault(ticket["method"], set()).add(ticket["schedule"]["rounds"])
    return found


def densities(cells: tuple[Spec, ...]) -> Iterator[dict[str, float]]:
    """What is kept at the end, each value once, by kind of layer or of `all`."""
    asked = [spec.ticket.model_dump()["schedule"]["density"] for spec in cells]
    for density in [one for place, one in enumerate(asked) if one not in asked[:place]]:
        by_kind = density if isinstance(density, dict) else {"all": density}
        yield {kind: kept for kind, kept in by_kind.items() if kept is not None}


@pytest.mark.parametrize("page", PUBLISHED)
def test_a_page_trains_as_its_source_does(page: str) -> None:
    assert {training(spec) for spec in read(page)} == {PUBLISHED[page].training}, PUBLISHED[page].source


@pytest.mark.parametrize("page", [page for page, recipe in PUBLISHED.items() if recipe.rounds])
def test_a_page_draws_in_as_many_rounds_as_its_source(page: str) -> None:
    assert rounds(read(page)) == PUBLISHED[page].rounds, PUBLISHED[page].source


@pytest.mark.parametrize("page", [page for page, recipe in PUBLISHED.items() if recipe.densities])
def test_a_page_draws_at_the_densities_of_its_source(page: str) -> None:
    recipe = PUBLISHED[page]
    published = [pytest.approx(density, rel=1e-12) for density in recipe.densities or []]
    assert list(densities(read(page))) == published, recipe.source


def test_every_page_of_a_published_recipe_has_its_row() -> None:
    pages = {
        file.relative_to(SPECS).with_suffix("").as_posix()
        for where in FOLDERS
        for file in (SPECS / where).rglob("*.yaml")
    }
    missing = sorted(pages - PUBLISHED.keys() - SHORTER.keys())
    assert not missing, (
        f"no source is cited for {', '.join(missing)}: add a row to PUBLISHED, or say in SHORTER what else it is"
    )
