"""A head is fitted once, to the training images and the dense network as it starts; whoever freezes it has its bits at the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import Split, read_split, write_pack
from ticketlab.datasets.sources import add
from ticketlab.errors import Interrupted
from ticketlab.files import copy_atomically, sha256_file
from ticketlab.ledger.chain import Chain
from ticketlab.plan.fitted import Head
from ticketlab.plan.steps import Draw, Step, Subset, Train
from ticketlab.run.estimate import estimate
from ticketlab.run.execute import Executor
from ticketlab.run.experiment import Experiment, open_experiment, run
from ticketlab.run.project import Project
from ticketlab.run.reading import load_spec
from ticketlab.run.steps.networks import initial_networks, trained_weights
from ticketlab.run.verify import verify
from ticketlab.spec.identity import identity
from ticketlab.tickets.file import read as read_ticket

PAGE: dict[str, Any] = {
    "name": "fitted",
    "data": {"dataset": "noise", "classes": [3, 0, 2], "count": 30},
    "model": {"kind": "convnet", "width": 4, "head": "ridge"},
    "ticket": {
        "method": "snip",
        "schedule": {"rounds": 2, "density": 0.4},
        "probe": {"per_class": 3, "batch": 5},
        "last_layer": "dense",
    },
    "arms": ["ticket", "dense", "random"],
    "train": {
        "objective": "squared_error",
        "steps": 3,
        "batch": 4,
        "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2},
        "last_layer": "frozen",
        "normalisation": "frozen",
    },
    "compute": {"device": "cpu", "threads": 1, "checkpoint_seconds": 0},
}
CLASSES = (3, 0, 2)
HEAD = ("classifier.fc.weight", "classifier.fc.bias")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def put(folder: Path, tests: int = 7) -> Path:
    """A project with eighty training images of noise in four classes; `tests` is what the noise of the test images comes from."""
    (folder / ".ticketlab").mkdir(parents=True)
    splits: dict[SplitName, Split] = {}
    for split, seed in (("train", 5), ("test", tests)):
        draws = torch.Generator().manual_seed(seed)
        images = torch.randint(0, 256, (80, 1, 16, 16), dtype=torch.uint8, generator=draws)
        splits[split] = Split(images, torch.randint(0, 4, (80,), generator=draws))  # type: ignore[index]
    write_pack(folder, "noise", splits, class_names=tuple("abcd"), licence="CC0-1.0", source="noise")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return put(tmp_path / "project")


def opened(project: Path, **sections: Any) -> Experiment:
    page = dict(PAGE)
    for name, section in sections.items():
        page[name] = {**page[name], **section} if isinstance(section, dict) and name != "ticket" else section
    file = project / f"{page['name']}.yaml"
    file.write_text(json.dumps(page))
    return open_experiment(file)


def done(
    project: Path, stopping: Callable[[], bool] = lambda: False, experiment: Experiment | None = None, **sections: Any
) -> Experiment:
    """Every step performed, nothing published."""
    experiment = experiment or opened(project, **sections)
    executor = Executor(experiment.project.home, experiment.store, lambda event: None, stopping)
    for address, step in experiment.plan.steps():
        executor.ensure(step, address.name)
    return experiment


def files(experiment: Experiment) -> list[dict[str, str]]:
    """The sha256 of all that the steps left."""
    return [dict(experiment.store.result(step).files) for _, step in experiment.plan.steps()]


def measured(experiment: Experiment, arm: str = "ticket") -> dict[str, float]:
    final = next(found.plan.final for found in experiment.plan.arms() if found.plan.arm == arm)
    found: dict[str, float] = json.loads(experiment.store.result(final.evaluate).path("metrics.json").read_bytes())
    return found


def steps_of(experiment: Experiment, kind: type[Step]) -> list[Any]:
    return [step for _, step in experiment.plan.steps() if isinstance(step, kind)]


def weights(experiment: Experiment, step: Step) -> dict[str, Tensor]:
    return trained_weights(experiment.store.result(step).path("weights.safetensors"))


def trained(experiment: Experiment) -> dict[str, dict[str, Tensor]]:
    """What the training of every arm left."""
    return {arm.plan.arm: weights(experiment, arm.plan.final.train) for arm in experiment.plan.arms()}


def by_hand(project: Path, experiment: Experiment, initial: str = "init", given: Path | None = None) -> Tensor:
    """The head of the dense network as it starts, in numpy: weight and, as the last column, bias."""
    step = steps_of(experiment, Train)[0]
    network = initial_networks(step.model, step.images, step.seed, initial, given)["classifier"].eval()
    split = read_split(project, "noise", "train")
    chosen = [number for number, label in enumerate(split.labels.tolist()) if label in CLASSES]
    (subset,) = steps_of(experiment, Subset)
    kept = trained_weights(experiment.store.result(subset).path("indices.safetensors"))["indices"].tolist()
    numbers = [chosen[index] for index in kept]
    labels = [CLASSES.index(int(split.labels[number])) for number in numbers]
    found = json.loads((project / "data" / "noise" / "dataset.json").read_text())
    pixels = (split.images[numbers].double() / 255 - found["mean"][0]) / found["std"][0]
    with torch.no_grad():
        rows = network.double().features(pixels).numpy()  # type: ignore[operator]
    rows = np.concatenate([rows, np.ones((len(rows), 1))], 1)
    shares = np.array([len(labels) / (3 * labels.count(label)) for label in labels])
    targets = np.eye(3)[labels]
    among = rows.T @ (shares[:, None] * rows) + (1 + 1e-6) * np.eye(rows.shape[1])
    return torch.from_numpy(np.linalg.solve(among, rows.T @ (shares[:, None] * targets)).T)


def columns(tensors: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([tensors[HEAD[0]], tensors[HEAD[1]].unsqueeze(1)], 1)


def test_dense_and_pruned_arms_end_with_the_head_of_the_dense_network(project: Path) -> None:
    experiment = done(project, arms=[*PAGE["arms"], "fresh_weights"])
    torch.testing.assert_close(
        columns(trained(experiment)["dense"]).double(), by_hand(project, experiment), rtol=1e-3, atol=1e-5
    )
    (head, fresh) = sorted(steps_of(experiment, Head), key=lambda step: step.initial != "init")
    fitted = weights(experiment, head)
    assert set(fitted) == set(HEAD)
    train = steps_of(experiment, Train)[0]
    start = {
        f"classifier.{name}": value
        for name, value in initial_networks(train.model, train.images, 0, "init")["classifier"].state_dict().items()
    }
    for arm in ("ticket", "dense", "random"):
        found = trained(experiment)[arm]
        assert all(torch.equal(found[name], fitted[name]) for name in HEAD)
        still = {name for name in found if name.endswith(STATISTICS)}
        assert still
        assert all(torch.equal(found[name], start[name]) for name in still)
        moved = {name for name in found if not torch.equal(found[name], start[name])}
        assert moved == set(found) - still
    # Other initial weights have a head of their own, of their features.
    assert weights(experiment, fresh)[HEAD[0]].shape == fitted[HEAD[0]].shape
    own = columns(trained(experiment)["fresh_weights"]).double()
    torch.testing.assert_close(own, by_hand(project, experiment, "fresh"), rtol=1e-3, atol=1e-5)
    assert not torch.equal(own, columns(fitted).double())


def test_test_images_play_no_part_in_the_head_the_ticket_or_the_training(project: Path, tmp_path: Path) -> None:
    one, other = done(project), done(put(tmp_path / "other", tests=8))
    assert {step.digest for _, step in one.plan.steps()}.isdisjoint(step.digest for _, step in other.plan.steps())
    for kind, name in ((Head, "weights.safetensors"), (Draw, "ticket.safetensors"), (Train, "weights.safetensors")):
        mine, theirs = steps_of(one, kind), steps_of(other, kind)
        assert len(mine) == len(theirs) > 0
        for step, twin in zip(mine, theirs, strict=True):
            assert one.store.result(step).files[name] == other.store.result(twin).files[name]
    assert measured(one) != measured(other)


def test_a_ticket_carried_from_another_task_is_measured_with_the_dense_head_of_this_one(project: Path) -> None:
    drawn = done(project, data={"classes": [1, 2, 0]})
    (draw,) = steps_of(drawn, Draw)
    path = drawn.store.result(draw).path("ticket.safetensors")
    copy_atomically(path, project / "carried.safetensors")
    ticket = {"method": "file", "file": "carried.safetensors", "sha256": sha256_file(path)}
    experiment = done(project, name="zero-shot", ticket=ticket, train={"steps": 0})
    mask = read_ticket(path)[0]
    assert not set(mask) & set(HEAD)
    found = trained(experiment)
    torch.testing.assert_close(columns(found["ticket"]).double(), by_hand(project, experiment), rtol=1e-3, atol=1e-5)
    assert all(torch.equal(found["ticket"][name], found["dense"][name]) for name in HEAD)
    for name, value in found["dense"].items():
        assert torch.equal(found["ticket"][name], value * mask[name] if name in mask else value)
    # The head of a task is one, whatever is carried to it: it is not fitted again.
    (head,) = steps_of(experiment, Head)
    assert head.digest in {step.digest for step in steps_of(opened(project), Head)}


def test_stopped_anywhere_a_run_goes_on_to_the_same_bits(project: Path, tmp_path: Path) -> None:
    expected = files(done(project))
    again, asked, stops = put(tmp_path / "again"), 0, 0

    def sometimes() -> bool:
        nonlocal asked
        asked += 1
        return asked % 2 == 0

    for _ in range(60):
        try:
            assert files(done(again, sometimes)) == expected
        except Interrupted:
            stops += 1
        else:
            break
    else:
        pytest.fail("the run never came to its end")
    assert stops > 2


def test_what_a_model_starts_from_is_kept_but_for_the_head(project: Path) -> None:
    plain = done(project, name="plain", model={"head": None}, train={"steps": 2, "last_layer": "learned"})
    given = {name: value + 0.125 for name, value in trained(plain)["dense"].items() if value.is_floating_point()}
    content = {**trained(plain)["dense"], **{name: value.abs() for name, value in given.items()}}
    torch.save(content, project / "w.pth")
    digest = hashlib.sha256((project / "w.pth").read_bytes()).hexdigest()
    start = {"kind": "file", "file": "w.pth", "sha256": digest, "names": "ticketlab"}
    experiment = done(project, model={"start": start}, arms=["dense"], ticket="none", train={"steps": 0})
    found = trained(experiment)["dense"]
    assert all(torch.equal(value, content[name]) for name, value in found.items() if name not in HEAD)
    (head,) = steps_of(experiment, Head)
    assert set(head.inputs) == {"pretrained", "subset"}
    pretrained = experiment.store.result(head.inputs["pretrained"]).path("weights.safetensors")
    expected = by_hand(project, experiment, given=pretrained)
    torch.testing.assert_close(columns(found).double(), expected, rtol=1e-3, atol=1e-5)


def test_a_head_of_streamed_pictures_is_fitted_to_the_chosen_classes(
    tmp_path: Path, photographs: Callable[..., Path]
) -> None:
    (tmp_path / "project" / ".ticketlab").mkdir(parents=True)
    add("imagenet", tmp_path / "project", photographs(tmp_path / "photographs"), as_name="small", size=None)
    data = {"dataset": "small", "classes": [2, 0], "size": 32, "count": None}
    model = {"kind": "convnet", "width": 4, "head": {"kind": "ridge", "penalty": 1e-3}}
    page = {**PAGE, "data": data, "model": model, "ticket": "none", "arms": ["dense"], "evaluate": {"split": "train"}}
    (tmp_path / "project" / "streamed.yaml").write_text(json.dumps({**page, "train": {**PAGE["train"], "steps": 0}}))
    experiment = done(tmp_path, experiment=open_experiment(tmp_path / "project" / "streamed.yaml"))
    # More features than pictures: what was fitted to these tells their classes.
    assert measured(experiment, "dense")["accuracy"] == 1.0


def test_a_head_is_part_of_what_an_experiment_is_and_of_its_cost(project: Path) -> None:
    fitted, plain = opened(project), opened(project, name="plain", model={"head": None})
    assert identity(fitted.plan.cells[0].spec) != identity(plain.plan.cells[0].spec)
    assert not steps_of(plain, Head)
    named = load_spec(project / "fitted.yaml", ["model.head={kind: ridge, penalty: 1}"]).cells[0].spec
    assert identity(named) == identity(fitted.plan.cells[0].spec)
    cost = {step.title: step.multiply_adds for step in estimate(fitted).steps}
    assert cost["head by ridge on noise"] == 30 * next(iter(estimate(fitted).networks.values())).multiply_adds


@pytest.mark.long
def test_what_was_recorded_of_a_head_is_verified_to_the_bit(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    experiment = opened(project, arms=["ticket", "fresh_weights"])
    assert not run(experiment).failures
    entries = list(Chain(project / "ledger.jsonl").entries())
    assert len(entries) == 2
    for entry in entries:
        found = verify(entry, Project(project))
        assert found.finding == "IDENTICAL"
        assert any("head by ridge" in step.name for step in found.steps)
