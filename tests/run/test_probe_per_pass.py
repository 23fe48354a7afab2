"""A probe set that is drawn for every pass: what a method is shown, what is recorded, and that a kill changes nothing."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import Field
from torch import Tensor

from ticketlab.augment.crop_flip import flip
from ticketlab.augment.resized_crop import build as resized_crop
from ticketlab.datasets.chosen import Chosen
from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.pack import read_split
from ticketlab.datasets.sources import add
from ticketlab.datasets.streamed import opened
from ticketlab.datasets.synthetic import PREFIX, stand_in
from ticketlab.errors import Interrupted
from ticketlab.plan.steps import Draw, Images
from ticketlab.randomness import Key
from ticketlab.run.execute import Executor
from ticketlab.run.steps.probe import Redrawn
from ticketlab.run.store import Store
from ticketlab.spec.augment import Flip, ResizedCrop
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.compute import Compute
from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.foresight import Grasp, Px, Snip
from ticketlab.spec.model import Mlp
from ticketlab.spec.probed import Probe, Probed
from ticketlab.spec.train import CrossEntropy
from ticketlab.tickets.probed import batch_sizes, sum_over_probe
from ticketlab.tickets.subject import Subject
from ticketlab.training import checkpoint

NOISE = PREFIX + "fashion-mnist"
LOOKING = '''"""Notes what it is shown in two looks a round, and scores by magnitude."""

SEEN = []


def scores(options, subject):
    looks = [range(n * len(subject.batches), (n + 1) * len(subject.batches)) for n in range(2)]
    SEEN.append([[subject.inputs(number)["classifier"][0] for number in look] for look in looks])
    return {layer: weight.abs() for layer, weight in subject.weights.items()}
'''


class Looking(Probed):
    """Looks twice."""

    made_by: ClassVar[str] = "third_party_looking:scores"
    about: ClassVar[str] = "notes what it is shown"
    looks: ClassVar[int] = 2
    method: Literal["looking"] = Field(default="looking", description="Notes what it is shown.")


PER_PASS = Probe(drawn="per_pass", per_class=1, batch=4)
PLACES: dict[str, Any] = {"networks": ("classifier",), "layers": ("conv", "linear")}
THREE = Schedule(rounds=3, density=0.2)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pack of noise lies."""
    folder = tmp_path_factory.mktemp("home")
    stand_in(KNOWN["fashion-mnist"], folder)
    return folder


def step(home: Path, ticket: Drawn, *augment: Any) -> Draw:
    return Draw(
        seed=3,
        images=Images(NOISE, read_manifest(home, NOISE).content, 1, 10, 28, "resize", "unit"),
        model=Mlp(hidden=(6,)),
        ticket=ticket,
        first=1,
        round=ticket.schedule.rounds,
        compute=Compute(threads=1),
        objective=CrossEntropy(steps=1, batch=8, augment=augment),
    )


def performed(asked: Draw, home: Path, store: Path, stopping: Callable[[], bool] = lambda: False) -> dict[str, bytes]:
    """The files of a step that was done in a store."""
    stored = Executor(lambda dataset: home, Store(store), lambda event: None, stopping).ensure(asked, "ticket")
    return {name: stored.path(name).read_bytes() for name in ("ticket.safetensors", "probe.safetensors")}


@pytest.fixture
def shown(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[list[Any], Tensor, Tensor]]:
    """What a method that looks twice is shown in each round, which images are recorded, and all there are."""
    (tmp_path / "third_party_looking.py").write_text(LOOKING)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "third_party_looking", raising=False)

    def looked(name: str, *augment: Any) -> tuple[list[Any], Tensor, Tensor]:
        files = performed(
            step(home, Looking(schedule=THREE, probe=PER_PASS, **PLACES), *augment), home, tmp_path / name
        )
        (tmp_path / "probe.safetensors").write_bytes(files["probe.safetensors"])
        indices = checkpoint.read(tmp_path / "probe.safetensors")[0]["indices"]
        seen = list(sys.modules["third_party_looking"].SEEN)  # type: ignore[attr-defined]
        sys.modules["third_party_looking"].SEEN.clear()  # type: ignore[attr-defined]
        return seen, indices, read_split(home, NOISE, "train").images

    return looked


def test_every_look_is_at_other_images_and_those_are_recorded(shown: Callable[..., Any]) -> None:
    seen, indices, images = shown("plain")
    assert indices.shape == (3, 2, 10)
    looks = [look for round in seen for look in round]
    assert [[len(batch) for batch in look] for look in looks] == [[4, 4, 2]] * 6
    for look, recorded in zip(looks, indices.flatten(0, 1), strict=True):
        assert len(recorded.unique()) == 10
        assert torch.equal((torch.cat(look) * 255).round().byte(), images[recorded])
    assert all(
        not torch.equal(one.sort().values, other.sort().values)
        for one, other in itertools.combinations(indices.flatten(0, 1), 2)
    )


def test_the_images_are_augmented_as_in_training_and_each_by_draws_of_its_own(shown: Callable[..., Any]) -> None:
    plain, indices, _ = shown("plain")
    flipped, same, _ = shown("flipped", Flip())
    assert torch.equal(indices, same)
    turned = []
    for before, after in zip(itertools.chain(*plain), itertools.chain(*flipped), strict=True):
        for one, other in zip(torch.cat(before), torch.cat(after), strict=True):
            turned.append(torch.equal(one.flip(-1), other))
            assert turned[-1] or torch.equal(one, other)
    assert 15 < sum(turned) < 45
    assert len({tuple(turned[start : start + 10]) for start in range(0, 60, 10)}) > 1


@pytest.mark.parametrize("method", [Snip, Grasp, Px])
def test_a_draw_that_is_killed_between_rounds_goes_on_to_the_same_bits(method: Any, home: Path, tmp_path: Path) -> None:
    asked = step(home, method(schedule=THREE, probe=PER_PASS, **PLACES), Flip())
    whole = performed(asked, home, tmp_path / "whole")
    rounds = iter((False, False, True))
    with pytest.raises(Interrupted, match="before round 3 of 3"):
        performed(asked, home, tmp_path / "killed", lambda: next(rounds))
    assert performed(asked, home, tmp_path / "killed") == whole
    once = asked.ticket.model_copy(update={"probe": PER_PASS.model_copy(update={"drawn": "once"})})
    assert performed(step(home, once, Flip()), home, tmp_path / "once") != whole


def test_pictures_that_are_streamed_are_cut_as_in_training_and_recorded_too(
    tmp_path: Path, photographs: Callable[..., Path]
) -> None:
    """Windows are cut out of whole pictures; one image too few for a batch of its own joins the one before."""
    add("imagenet", tmp_path / "project", photographs(tmp_path / "photographs"), as_name="small", size=None)
    manifest = read_manifest(tmp_path / "project", "small")
    cpu = torch.device("cpu")
    train = opened(tmp_path / "project", manifest, "train", 32, "resize", Chosen(), cpu, 0)
    cut, turned = resized_crop(ResizedCrop()), flip(Flip())
    probe = Redrawn(train, batch_sizes(9, 4), 2, Key(1), [cut, turned])
    assert list(probe.augmenters) == [turned]
    assert probe.sizes == (4, 5)
    for look, recorded in enumerate(probe.indices(round=2)):
        first = probe.first_of(2) + look * 2
        shown = [probe.at(first + place) for place in range(2)]
        assert torch.equal(torch.cat([labels for _, labels in shown]), train.labels[recorded])
        windows = torch.cat([images for images, _ in shown])
        assert windows.shape == (9, 3, 32, 32)
        assert not torch.equal(windows, train.take(recorded))
        assert torch.equal(Redrawn(train, (4, 5), 2, Key(1), [cut]).at(first)[0], shown[0][0])


def test_each_batch_counts_alike_and_a_look_has_its_own() -> None:
    """Means of batches of 4, 4 and 2 images, the short one as heavy as the others."""
    values = torch.arange(6.0)
    weight = torch.nn.Parameter(torch.ones(()))
    network = torch.nn.Module()
    network.register_parameter("weight", weight)

    def mean(subject: Subject, **options: int) -> float:
        derived = sum_over_probe(
            subject,
            {"n": network},
            {"n.weight": weight},
            lambda loss, own, _: torch.autograd.grad(loss, own),
            **options,
        )
        return float(derived["n.weight"])

    def losses(networks: Any, number: int) -> dict[str, Tensor]:
        return {"n": networks["n"].weight * values[number]}

    offered: dict[str, Any] = {"weights": {}, "mask": None, "key": Key(0), "batches": (4, 4, 2), "losses": losses}
    redrawn = Subject(**offered, redrawn=True)
    assert mean(redrawn) == pytest.approx((0 + 1 + 2) / 3)
    assert mean(redrawn, look=1) == pytest.approx((3 + 4 + 5) / 3)
    assert mean(Subject(**offered)) == mean(Subject(**offered), look=1) == pytest.approx((4 * 0 + 4 * 1 + 2 * 2) / 10)
