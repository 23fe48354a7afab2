"""A field that is declared to change no result changes none: two values of it, each in a store of its own, the same bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from ticketlab.datasets.pack import Split, write_pack
from ticketlab.datasets.shape import ImageShape
from ticketlab.datasets.sources import add
from ticketlab.files import sha256_file
from ticketlab.metrics import inception
from ticketlab.models.build import build
from ticketlab.randomness import Key
from ticketlab.run.crew import Alone
from ticketlab.run.experiment import open_experiment
from ticketlab.run.publish import arm_result, publish_arm, publish_overview
from ticketlab.spec.evaluate import Inception
from ticketlab.spec.identity import without_effect
from ticketlab.spec.model import ImagenetResnet
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import write as write_ticket
from ticketlab.tickets.mask import Mask

SHAPE = ImageShape(3, 32, 2)
RESNET: dict[str, Any] = {"kind": "imagenet_resnet", "depth": 18, "width": 4}
EDGE_POPUP: dict[str, Any] = {"method": "edge_popup", "density": 0.5}

CLASSIFIER: dict[str, Any] = {
    "name": "one",
    "data": {"dataset": "specks"},
    "evaluate": {"every": 2},
    "model": {"kind": "mlp", "hidden": [6]},
    "ticket": {"method": "magnitude", "schedule": {"rate": 0.5}},
    "arms": ["ticket"],
    "train": {"objective": "cross_entropy", "steps": 4, "batch": 4},
    "compute": {"device": "cpu", "threads": 1},
}
GAN: dict[str, Any] = {
    **CLASSIFIER,
    "model": {"kind": "sngan", "width": 4, "critic_width": 4, "latent": 4},
    "train": {"objective": "hinge", "steps": 4, "batch": 4, "generator_batch": 4},
    "evaluate": {"samples": 20, "metrics": ["frechet"], "extractor": {"kind": "random_conv", "width": 4}},
}


@dataclass(frozen=True)
class Pair:
    """Two values of a field in a page; `tells` are the published files that may say which, being rows at its cadence."""

    one: Any
    two: Any
    page: Mapping[str, Any]
    tells: frozenset[str] = frozenset()
    long: bool = False


def through(path: str, extractor: dict[str, Any]) -> dict[str, Any]:
    """A GAN that is measured, trained or searched through an extractor."""
    if path.startswith("evaluate."):
        return {**GAN, "evaluate": {**GAN["evaluate"], "extractor": extractor}}
    matching = {"objective": "moment_matching", "steps": 4, "batch": 4, "extractor": extractor}
    if path.startswith("train."):
        return {**GAN, "train": matching}
    return {**GAN, "ticket": {**EDGE_POPUP, "search": matching}}


FILES = ("weights.pth", "elsewhere/others.pth")
OF_INCEPTION = ("evaluate.extractor.file", "train.extractor.file", "ticket.search.extractor.file")
OF_STARTS = tuple(path.replace(".file", ".model.start.file") for path in OF_INCEPTION)
STARTED = {**RESNET, "start": {"kind": "file", "names": "torchvision"}}

PAIRS: dict[str, Pair] = {
    "name": Pair("one", "two", CLASSIFIER),
    "about": Pair("", "many words", CLASSIFIER),
    "matrix": Pair({"seed": [0]}, {"seed": [0, 1]}, CLASSIFIER),
    "arms": Pair(["ticket"], ["dense", "ticket"], CLASSIFIER),
    "compute.checkpoint_seconds": Pair(0.0, 60.0, CLASSIFIER),
    "compute.log_every": Pair(1, 2, CLASSIFIER, tells=frozenset({"curves.csv", "curves.png"})),
    "compute.workers": Pair(0, 2, {**CLASSIFIER, "data": {"dataset": "pictures", "size": 32}}, long=True),
    "ticket.file": Pair(*FILES, {**CLASSIFIER, "ticket": {"method": "file"}}),
    "model.start.file": Pair(*FILES, {**CLASSIFIER, "model": STARTED}, long=True),
    **{path: Pair(*FILES, through(path, {"kind": "inception"}), long=True) for path in OF_INCEPTION},
    **{
        path: Pair(*FILES, through(path, {"kind": "lab_classifier", "steps": 2, "model": STARTED}), long=True)
        for path in OF_STARTS
    },
}
"""Two values of every field without effect. Whoever marks another one says here in which page they can be seen apart."""


def test_every_field_without_effect_has_two_values_here() -> None:
    assert set(PAIRS) == set(without_effect())
    assert all(pair.one != pair.two for pair in PAIRS.values())


@pytest.fixture(scope="module")
def specks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's data folder with 40 + 40 images of noise in two classes."""
    noise, root = torch.Generator().manual_seed(0), tmp_path_factory.mktemp("specks")

    def split() -> Split:
        images = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=noise)
        return Split(images, torch.arange(40) % 2)

    splits = {"train": split(), "test": split()}
    write_pack(root, "specks", splits, class_names=("a", "b"), licence="CC0-1.0", source="noise")  # type: ignore[arg-type]
    return root / "data"


def set_at(page: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The page with the value at a dotted path."""
    first, _, rest = path.partition(".")
    return {**page, first: set_at(page.get(first, {}), rest, value) if rest else value}


def weights(path: str, file: Path) -> None:
    """A file of weights, or masks, such as the field at `path` asks for."""
    if path == "ticket.file":
        write_ticket(
            file,
            Mask({"classifier.hidden.0.weight": torch.arange(6 * 3072).reshape(6, 3072) % 2 == 0}),
            TicketFacts("random", 1, 0, "0" * 64),
        )
    elif path in OF_INCEPTION:
        torch.save(inception.noise(Inception(file="x", sha256="0" * 64)), file)
    else:
        torch.save(build(ImagenetResnet(depth=18, width=4), SHAPE, Key(77))["classifier"].state_dict(), file)


@dataclass(frozen=True)
class Left:
    """What a run published: bytes by name under its folder, and the names of its arms."""

    files: dict[str, bytes]
    arms: frozenset[str]

    def of_arm(self, arm: str) -> dict[str, object]:
        """The arm's own files, its rows among the curves, its line of metrics."""
        own = {
            name: content for name, content in self.files.items() if name.removeprefix("tickets/").startswith(f"{arm}/")
        }
        rows = [row for row in self.files["curves.csv"].decode().splitlines() if row.startswith((f"{arm},", "arm,"))]
        return {**own, "curves.csv": rows, "metrics.json": json.loads(self.files["metrics.json"])[arm]}


def done(root: Path, page: Mapping[str, Any]) -> Left:
    """A page done and published at its own size, as `ticketlab run` does it; nothing is recorded."""
    (root / ".ticketlab").mkdir(exist_ok=True)
    YAML(typ="safe").dump(json.loads(json.dumps(page)), root / "page.yaml")
    experiment = open_experiment(root / "page.yaml")
    crew, results = Alone(experiment.job(lambda event: None)), []
    for address in experiment.plan.arms():
        crew.arm(address)
        results.append(arm_result(address, experiment.store))
        folder = publish_arm(experiment.plan, address, results[-1], experiment.project)
    publish_overview(experiment.plan, results, experiment.project, experiment.store)
    return Left(dict(_contents(folder)), frozenset(result.name for result in results))


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All files but the resolved page; of the report all but its title, which is the page's name."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "spec.json":
            content = path.read_bytes()
            yield (
                path.relative_to(folder).as_posix(),
                content.split(b"\n", 1)[1] if path.name == "results.md" else content,
            )


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.long] if pair.long else []) for path, pair in PAIRS.items()]
)
def test_two_values_of_it_leave_the_same_bytes(
    path: str, specks: Path, photographs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "SIDE", 75)
    pair, left, given = PAIRS[path], [], tmp_path / "given.pth"
    if path.endswith(".file"):
        weights(path, given)
    for number, value in enumerate((pair.one, pair.two)):
        root = tmp_path / str(number)
        root.mkdir()
        (root / "data").symlink_to(specks)
        if path == "compute.workers":
            (root / "data").unlink()
            add("imagenet", root, photographs(tmp_path / f"photographs-{number}"), as_name="pictures", size=None)
        page = set_at(pair.page, path, value)
        if path.endswith(".file"):
            (root / value).parent.mkdir(exist_ok=True)
            shutil.copy(given, root / value)
            page = set_at(page, path.replace(".file", ".sha256"), sha256_file(given))
        left.append(done(root, page))
    one, two = left
    common = one.arms & two.arms
    assert common
    for arm in common:
        mine, theirs = one.of_arm(arm), two.of_arm(arm)
        assert "weights.safetensors" in {Path(name).name for name in mine}
        assert {name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)} <= pair.tells
    if one.arms == two.arms:
        names = one.files.keys() | two.files.keys()
        assert {name for name in names if one.files.get(name) != two.files.get(name)} <= pair.tells
    if "curves.csv" in pair.tells:
        assert set(two.files["curves.csv"].splitlines()) < set(one.files["curves.csv"].splitlines())
