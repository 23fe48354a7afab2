"""A run on some classes of a dataset: what is trained on, scored on and measured are the images of these, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import Split, write_pack
from ticketlab.datasets.synthetic import stand_in
from ticketlab.errors import DataError
from ticketlab.plan.steps import Draw, Step, Subset
from ticketlab.run.execute import Executor
from ticketlab.run.experiment import Experiment, open_experiment, run
from ticketlab.spec.catalog import KNOWN
from ticketlab.training import checkpoint

PAGE = """\
name: some
data: {dataset: six, classes: [4, b, 0], ratio: 0.5}
model: {kind: mlp, hidden: [8]}
ticket: {method: snip, schedule: {density: 0.5}, probe: {per_class: 2, batch: 4}}
arms: [ticket]
train: {objective: cross_entropy, steps: 30, batch: 6, optimizer: {kind: adam, lr: 0.01}}
compute: {device: cpu, threads: 1}
"""
CLASSES = (4, 1, 0)
COUNTS = (14, 15, 9, 9, 13, 9)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Six classes of unequal numbers of images, whose gray is that of their class; 5 test images of each."""
    (tmp_path / ".ticketlab").mkdir()
    (tmp_path / "some.yaml").write_text(PAGE)
    splits: dict[SplitName, Split] = {}
    for split, counts in (("train", COUNTS), ("test", (5,) * 6)):
        labels = torch.repeat_interleave(torch.arange(6), torch.tensor(counts))
        labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))]
        splits[split] = Split((labels * 40).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8), labels)  # type: ignore[index]
    write_pack(tmp_path, "six", splits, class_names=tuple("abcdef"), licence="CC0-1.0", source="grays")
    return tmp_path


def labels(project: Path, of: SplitName = "train") -> torch.Tensor:
    """The labels in the pack of the images of the chosen classes, in file order."""
    every = safetensors.torch.load_file(project / "data" / "six" / f"{of}.safetensors")["labels"]
    return every[torch.isin(every, torch.tensor(CLASSES))]


def done(experiment: Experiment) -> Experiment:
    """Every step performed, nothing published."""
    executor = Executor(experiment.project.home, experiment.store, lambda event: None, lambda: False)
    for address, step in experiment.plan.steps():
        executor.ensure(step, address.name)
    return experiment


def left(experiment: Experiment, kind: type[Step], name: str) -> torch.Tensor:
    (step,) = [step for _, step in experiment.plan.steps() if isinstance(step, kind)]
    return checkpoint.read(experiment.store.result(step).path(name))[0]["indices"]


def test_the_ratio_is_of_the_chosen_classes_and_the_probe_set_within_it(project: Path) -> None:
    experiment = done(open_experiment(project / "some.yaml"))
    kept = left(experiment, Subset, "indices.safetensors")
    assert len(kept) == (14 + 15 + 13) // 2
    counts = torch.bincount(labels(project)[kept], minlength=6)
    assert counts.tolist() == [7, 7, 0, 0, 7, 0]
    probe = left(experiment, Draw, "probe.safetensors")
    assert torch.bincount(labels(project)[kept][probe], minlength=6).tolist() == [2, 2, 0, 0, 2, 0]


def test_a_network_learns_the_classes_by_their_places_and_is_measured_on_their_test_images(project: Path) -> None:
    experiment = done(open_experiment(project / "some.yaml", ["train.steps=300"]))
    final = next(iter(experiment.plan.arms())).plan.final
    assert final.train.images.classes == 3
    found = json.loads(experiment.store.result(final.evaluate).path("metrics.json").read_bytes())
    # Gray tells the classes: a perfect score says that test labels are places in the list as training labels are.
    assert found["accuracy"] == 1.0


def test_another_order_of_the_classes_is_another_run(project: Path) -> None:
    digests = [
        {step.digest for _, step in open_experiment(project / "some.yaml", [f"data.classes={classes}"]).plan.steps()}
        for classes in ("[4, b, 0]", "[4, 1, 0]", "[0, 1, 4]")
    ]
    assert digests[0] == digests[1]
    assert not digests[0] & digests[2]


def test_more_images_than_the_classes_have_are_refused_when_they_are_counted(project: Path) -> None:
    with pytest.raises(DataError, match="43 of 42 images cannot be drawn"):
        done(open_experiment(project / "some.yaml", ["data.ratio=null", "data.count=43"]))


GAN = """\
name: pair
data: {dataset: noise-like-cifar10, classes: [5, 3]}
model: {kind: sngan, width: 2, critic_width: 2, latent: 2}
train: {objective: hinge, steps: 1, batch: 2, generator_batch: 2, n_critic: 1}
evaluate: {metrics: [frechet], samples: 4, extractor: {kind: lab_classifier, model: {kind: convnet, width: 2}, steps: 1}}
compute: {device: cpu, threads: 1}
"""


def test_a_gan_is_measured_through_an_extractor_of_the_chosen_classes_which_says_so(tmp_path: Path) -> None:
    (tmp_path / ".ticketlab").mkdir()
    stand_in(KNOWN["cifar10"], tmp_path)
    (tmp_path / "pair.yaml").write_text(GAN)
    keys = []
    for classes in ("[5, 3]", "[3, 5]"):
        experiment = open_experiment(tmp_path / "pair.yaml", [f"data.classes={classes}"])
        done(experiment)
        final = next(iter(experiment.plan.arms())).plan.final
        keys += json.loads(experiment.store.result(final.evaluate).path("metrics.json").read_bytes())
        extractor = final.evaluate.inputs["extractor"]
        weights = checkpoint.read(experiment.store.result(extractor).path("weights.safetensors"))[0]
        assert weights["classifier.fc.weight"].shape[0] == 2
    assert all("noise-like-cifar10-2classes-" in key for key in keys)
    assert len(set(keys)) == 2


def test_a_smoke_run_is_done_on_noise_of_the_chosen_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    (tmp_path / ".ticketlab").mkdir()
    page = PAGE.replace("six", "cifar10").replace("[4, b, 0]", "[dog, 0, ship]")
    (tmp_path / "some.yaml").write_text(page)
    outcome = run(open_experiment(tmp_path / "some.yaml", to_smoke=True))
    assert not outcome.failures
