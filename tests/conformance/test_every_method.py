"""What every ticket method promises on every model and objective, by being registered: no line of test code for one."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from ticketlab.datasets.pack import Split, write_pack
from ticketlab.errors import Interrupted, SpecError
from ticketlab.files import sha256_file
from ticketlab.ledger.chain import Chain
from ticketlab.run.experiment import Experiment, open_experiment, run
from ticketlab.run.project import Project
from ticketlab.run.reading import load_spec
from ticketlab.run.verify import verify
from ticketlab.spec.drawing import Drawn
from ticketlab.spec.evolving import Evolving
from ticketlab.spec.language import place_at, tag_of
from ticketlab.spec.masked import Masked
from ticketlab.spec.model import ModelChoice
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.section import Choice
from ticketlab.spec.task import Task
from ticketlab.spec.train import Objective
from ticketlab.tickets.file import read as read_ticket
from ticketlab.training import checkpoint

SMALL: dict[str, Any] = {"width": 4, "critic_width": 4, "latent": 4}
"""What a model's fields of these names are set to; all others keep their defaults."""

LEAST: dict[str, Any] = {
    "mlp": {"hidden": [6]},
    "lenet": {"channels": [2, 3], "hidden": [6]},
    "plain_conv": {"channels": [2, 2]},
    "resnet": {"depth": 8},
    "deeplab": {"pyramid": 6, "detail": 3},
}

DATASETS: dict[str | None, str] = {"map": "voc2012"}
"""What is trained on, by the kind of label that a task learns from, where it is not CIFAR-10."""

SMALLEST = {"gan": "sngan", "classifier": "mlp"}
"""The model of fewest parameters of a task, at the sizes above, where it is small enough for every method by default."""
DENSITY = 0.5

KILL_TEST = Path(__file__).parents[1] / "end_to_end" / "kill_test.py"
KILLED: dict[str, dict[str, Any]] = {
    "classifier": {
        "data": {"dataset": "fashion-mnist-mini", "count": 200},
        "train": {"steps": 60, "batch": 16},
        "evaluate": {"every": 20},
        "compute": {"log_every": 5},
    },
    "gan": {
        "data": {"dataset": "fashion-mnist-mini", "size": 32, "fit": "pad", "count": 200},
        "train": {"steps": 24, "batch": 8},
        "evaluate": {"samples": 40, "every": 8, "extractor": {"kind": "lab_classifier", "steps": 10}},
        "compute": {"log_every": 4},
    },
}
"""What a run by the command line, on real images, changes of a combination's spec, by task."""


def members(section: str) -> list[type[Choice]]:
    """The registered members of a family."""
    place = place_at((section,), {})
    assert place is not None
    return list(place.sections)  # type: ignore[arg-type]


def tag(member: type[Choice]) -> str:
    found = tag_of(member)
    assert found is not None
    return found[1]


def methods() -> list[type[Choice]]:
    return [member for member in members("ticket") if issubclass(member, Masked)]


@dataclass(frozen=True)
class Combination:
    """A ticket method, a model and an objective of the model's task."""

    method: type[Choice]
    model: type[ModelChoice]
    objective: type[Objective]

    @property
    def aims(self) -> bool:
        """Whether the method is told what share to keep; one that finds it keeps all in two steps."""
        return issubclass(self.method, Drawn) or "density" in self.method.model_fields

    @property
    def name(self) -> str:
        return f"{tag(self.method)}-{tag(self.model)}-{tag(self.objective)}".replace("_", "-")

    def page(self) -> dict[str, Any]:
        """The spec, of the smallest size; the ticket lies on every network that the objective trains."""
        learning = self.objective.learns or self.model.networks
        ticket: dict[str, Any] = {"method": tag(self.method), "networks": list(learning)}
        if issubclass(self.method, Drawn):
            ticket["schedule"] = {"rounds": 2, "density": DENSITY}
        elif "density" in self.method.model_fields:
            ticket["density"] = DENSITY
        if issubclass(self.method, PinnedFile):
            ticket |= {"file": "given.safetensors", "sha256": "0" * 64}
        if "probe" in self.method.model_fields:
            ticket["probe"] = {"per_class": 1, "batch": 4}
        train: dict[str, Any] = {"objective": tag(self.objective), "steps": 20}
        averaged = not issubclass(self.method, Evolving) or self.method.averaged
        if not averaged and self.objective.averaged_by is not None:
            train[self.objective.averaged_by] = 0.0
        small = {name: value for name, value in SMALL.items() if name in self.model.model_fields}
        kind = tag(self.model)
        sizes = self.model.sizes
        return {
            "name": self.name,
            "data": {"dataset": DATASETS.get(self.model.trains.labels, "cifar10"), "size": min(sizes) if sizes else 16},
            "model": {"kind": kind, **small, **LEAST.get(kind, {})},
            "ticket": ticket,
            "arms": ["ticket", "random"],
            "train": train,
            "compute": {"device": "cpu", "threads": 1, "checkpoint_seconds": 0},
        }


def combinations() -> Iterator[Combination]:
    for method in methods():
        for model in members("model"):
            for objective in members("train"):
                if model.trains == objective.trains:  # type: ignore[attr-defined]
                    yield Combination(method, model, objective)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Laid:
    """A combination's spec in a project of its own."""

    file: Path

    @property
    def root(self) -> Path:
        return self.file.parent

    def open(self) -> Experiment:
        return open_experiment(self.file, to_smoke=True)

    def run(self) -> dict[str, str]:
        """Smoke the spec to its end; the sha256 of every file it published."""
        outcome = run(self.open())
        assert outcome.failures == [], outcome.failures
        return self.published()

    def run_until(self, moment: int) -> bool:
        """Smoke until the run has asked `moment` times whether to stop and asks again; whether it was stopped."""
        asked = iter(range(moment))
        try:
            outcome = run(self.open(), stopping=lambda: next(asked, None) is None)
        except Interrupted:
            return True
        assert outcome.failures == [], outcome.failures
        return False

    def published(self) -> dict[str, str]:
        folder = Project(self.root, smoke=True).runs
        return {
            path.relative_to(folder).as_posix(): sha256_file(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


def lay(combination: Combination, root: Path, **sections: Any) -> Laid:
    """The combination's spec written into an empty project."""
    (root / ".ticketlab").mkdir(parents=True)
    file = root / "spec.yaml"
    page = combination.page()
    for name, values in sections.items():
        page[name] = {**page.get(name, {}), **values}
    YAML(typ="safe").dump(json.loads(json.dumps(page)), file)
    return Laid(file)


def lay_real(combination: Combination, root: Path, **sections: Any) -> Laid:
    """As `lay`, for a run at its own size; the file that a method needs is what stands in for it in smoke runs."""
    if issubclass(combination.method, PinnedFile):
        noise = lay(combination, root / "noise", **sections)
        given = noise.open().plan.cells[0].spec.ticket
        assert isinstance(given, PinnedFile)
        file = noise.root / given.file
        assert file.is_file()
        sections["ticket"] = {**sections.get("ticket", {}), "file": str(file), "sha256": given.sha256}
    return lay(combination, root, **sections)


def refusal(combination: Combination, root: Path) -> str | None:
    """Why the spec is refused when it is read; None if it is accepted."""
    laid = lay(combination, root / "read")
    try:
        load_spec(laid.file)
    except SpecError as error:
        return str(error)
    return None


EVERY = list(combinations())


def smallest(task: Task) -> tuple[Any, Any]:
    """The smallest model of a task, None if it is not small, and the first objective."""
    objective = next(member for member in members("train") if member.trains == task)  # type: ignore[attr-defined]
    return next((member for member in members("model") if tag(member) == SMALLEST.get(task.name)), None), objective


def asked_always(combination: Combination) -> bool:
    """Whether it is in the default run.

    Every method on a small model of each task; one method on every model, and on a small one with every objective.
    """
    small, first = smallest(combination.model.trains)
    alike = (combination.model is small) + (combination.objective is first)
    return alike == 2 or (alike == 1 and tag(combination.method) == "random")


def marked(always: Callable[[Combination], bool]) -> list[Any]:
    """All combinations; those that are not in the default run are marked long."""
    return [pytest.param(one, id=one.name, marks=[] if always(one) else [pytest.mark.long]) for one in EVERY]


def accepted(combination: Combination, tmp_path: Path) -> None:
    """Skips what is refused when it is read, once it is seen that the refusal says what to do instead."""
    said = refusal(combination, tmp_path)
    if said is not None:
        assert "  -> " in said, f"a refusal says what to do instead: {said}"
        pytest.skip(said.splitlines()[0])


@pytest.mark.parametrize("combination", marked(asked_always))
def test_a_method_is_refused_with_a_reason_or_keeps_its_promises(combination: Combination, tmp_path: Path) -> None:
    """Smoke, exact repeat, masks, and nothing left behind."""
    accepted(combination, tmp_path)
    before = generators()
    first = lay(combination, tmp_path / "first")
    published = first.run()
    assert published, "nothing was published"
    assert generators() == before, "a global generator was touched"
    again = lay(combination, tmp_path / "again")
    assert again.run() == published
    check_masks(first.open(), combination.aims)
    check_nothing_is_left(first)


@pytest.mark.parametrize("method", [pytest.param(one, id=tag(one)) for one in methods()])
def test_a_method_works_on_some_small_model(method: type[Choice], tmp_path: Path) -> None:
    """A method that is refused everywhere has proved nothing."""
    assert working(method, tmp_path)


REAL: dict[str, dict[str, Any]] = {
    "classifier": {"train": {"steps": 4, "batch": 4}, "evaluate": {"every": 2}},
    "gan": {
        "train": {"steps": 4, "batch": 4},
        "evaluate": {
            "samples": 20,
            "every": 2,
            "metrics": ["frechet"],
            "extractor": {"kind": "random_conv", "width": 4},
        },
    },
}
"""What a run on a small dataset of noise, recorded in the ledger, changes of a combination's spec, by task."""


@pytest.fixture
def noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Gives a project forty training images of noise, and as many others, in ten classes; no MLflow answers."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    draws = torch.Generator().manual_seed(0)

    def split() -> Split:
        images = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=draws)
        return Split(images, torch.arange(40) % 10)

    def put(project: Path) -> None:
        names = tuple("abcdefghij")
        splits = {"train": split(), "test": split()}
        write_pack(project, "noise", splits, class_names=names, licence="CC0-1.0", source="noise")  # type: ignore[arg-type]

    return put


@pytest.mark.long
@pytest.mark.parametrize("method", [pytest.param(one, id=tag(one)) for one in methods()])
def test_what_a_method_left_is_verified_to_the_bit(
    method: type[Choice], tmp_path: Path, noise: Callable[[Path], None]
) -> None:
    """Real runs, not smoke, on the first small model that the method is not refused on, recorded and done again."""
    combination = working(method, tmp_path)[0]
    changes = heard(method, REAL[combination.model.trains.name])
    for root in (tmp_path / "real", tmp_path / "real" / "noise"):
        noise(root)
    laid = lay_real(combination, tmp_path / "real", data={"dataset": "noise"}, **changes)
    outcome = run(open_experiment(laid.file))
    assert outcome.failures == [], outcome.failures
    entries = list(Chain(laid.root / "ledger.jsonl").entries())
    assert len(entries) == 2
    for entry in entries:
        found = verify(entry, Project(laid.root))
        assert found.finding == "IDENTICAL", [one for one in (*found.files, *found.steps) if one.finding != "IDENTICAL"]
        assert found.steps


def working(method: type[Choice], tmp_path: Path) -> list[Combination]:
    """The combinations of a method with small models that are not refused, those of fewest networks first."""
    small = [one for one in EVERY if one.method is method and (one.model, one.objective) == smallest(one.model.trains)]
    small.sort(key=lambda one: len(one.model.networks))
    return [one for one in small if refusal(one, tmp_path / one.name) is None]


def heard(method: type[Choice], changes: dict[str, Any]) -> dict[str, Any]:
    """The changes, and for a method that hears what is measured on the way that both go by one cadence."""
    return {**changes, "ticket": {"every": changes["evaluate"]["every"]}} if "every" in method.model_fields else changes


@pytest.mark.parametrize(
    "combination", marked(lambda one: tag(one.model) == "mlp" and one.objective is smallest(one.model.trains)[1])
)
def test_a_run_stopped_at_any_question_ends_with_the_same_bits(combination: Combination, tmp_path: Path) -> None:
    accepted(combination, tmp_path)
    published = lay(combination, tmp_path / "undisturbed").run()
    stopped = lay(combination, tmp_path / "stopped")
    stops = 0
    for moment in itertools.cycle((0, 1)):
        if not stopped.run_until(moment):
            break
        stops += 1
        assert stops < 200, "the run never ends"
    assert stops > 0
    assert stopped.published() == published


@pytest.mark.long
@pytest.mark.parametrize("method", [pytest.param(one, id=tag(one)) for one in methods()])
def test_fifty_kills_at_random_instants_leave_no_trace(method: type[Choice], tmp_path: Path) -> None:
    """Real runs, not smoke, of the method on the first small model that it is not refused on, one network before two."""
    combination = working(method, tmp_path)[0]
    changes = heard(method, KILLED[combination.model.trains.name])
    spec = lay_real(combination, tmp_path, **changes).file
    command = [sys.executable, KILL_TEST, "--kills", "50", "--spec", spec]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r": 50 kills .*, [1-9]\d* projects finished, each equal to the undisturbed one$", done.stdout)


def generators() -> list[object]:
    """The states of the global generators of torch, numpy and Python."""
    name, keys, *rest = np.random.get_state()
    return [torch.get_rng_state().tolist(), name, list(keys), rest, random.getstate()]


def check_masks(experiment: Experiment, aims: bool) -> None:
    """Pruned weights are exactly zero, the control keeps as many per layer; counts are exact where there is an aim."""
    masks = {}
    for address in experiment.plan.arms():
        final = address.plan.final
        assert final.mask is not None
        mask, facts, _ = read_ticket(experiment.store.result(final.mask).path("ticket.safetensors"))
        tensors, _ = checkpoint.read(experiment.store.result(final.train).path("weights.safetensors"))
        for layer, kept in mask.items():
            assert not tensors[layer][~kept].any(), layer
            assert tensors[layer].isfinite().all(), layer
        assert mask.kept > 0
        assert facts.seed == address.cell.spec.seed
        masks[address.plan.arm] = mask
    assert masks["ticket"].layer_kept() == masks["random"].layer_kept()
    if not aims:
        return
    assert masks["ticket"] != masks["random"]
    for network in {layer.partition(".")[0] for layer in masks["ticket"]}:
        part = masks["ticket"].of_network(network)
        assert part is not None
        layers = {layer: kept.numel() for layer, kept in part.items()}
        scope = getattr(experiment.plan.cells[0].spec.ticket, "scope", None)
        if scope is not None and scope.name == "per_layer":
            assert part.layer_kept() == {layer: math.ceil(DENSITY * size) for layer, size in layers.items()}
        else:
            assert part.kept == math.ceil(DENSITY * part.size)
        assert len(part) < part.size - part.kept


def check_nothing_is_left(laid: Laid) -> None:
    """Finished steps leave no unfinished work, no scratch file."""
    lab = laid.root / ".ticketlab" / "smoke"
    assert [path.name for path in lab.glob("work/*")] == []
    assert [path.name for path in lab.rglob("*.part")] == []
