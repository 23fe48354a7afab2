"""A package adds a kind of label, and all that learns from it, to a lab that is left as it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

POINTS = """
[ticketlab.labels]
attributes = attributes:Attributes
[ticketlab.models]
tagger = attributes:Tagger
[ticketlab.objectives]
binary_cross_entropy = attributes:BinaryCrossEntropy
[ticketlab.metrics]
attribute_accuracy = attributes:AttributeAccuracy
"""
PAGE = """
name: faces
data: {dataset: faces, count: 40}
model: tagger
ticket: {method: snip, probe: {per_class: 2, batch: 4}, schedule: {density: 0.5}}
arms: [ticket, dense]
train: {objective: binary_cross_entropy, steps: 2, batch: 10, augment: [flip]}
compute: {device: cpu, threads: 1}
"""
LONGER = ("--set", "train.steps=120")

Answer = subprocess.CompletedProcess[str]


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., Answer]:
    """Python in a project with a dataset of attributes, the package installed as pip would have it."""
    home = tmp_path / "installed"
    shutil.copytree(Path(__file__).parent / "attributes", home / "attributes")
    facts = home / "attributes-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: attributes\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(POINTS)
    project = tmp_path / "project"
    (project / ".ticketlab").mkdir(parents=True)
    (project / "faces.yaml").write_text(PAGE)
    path = os.pathsep.join(filter(None, (str(home), os.environ.get("PYTHONPATH", ""))))

    def call(*arguments: str, installed: bool = True) -> Answer:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
        if installed:
            environment["PYTHONPATH"] = path
        return subprocess.run(
            [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True, check=False
        )

    added = call("-c", "from pathlib import Path; from attributes.reading import add; print(add(Path()).labels)")
    assert (added.stdout, added.stderr) == ("attributes\n", "")
    return call


def ticketlab(*arguments: str) -> tuple[str, ...]:
    return ("-m", "ticketlab", *arguments)


def accuracy(project: Path, folder: str, arm: str) -> float:
    (found,) = (project / "runs" / folder / arm).glob("**/metrics.json")
    return float(json.loads(found.read_text())["attribute_accuracy"])


def test_a_ticket_is_drawn_trained_and_measured_by_attributes(python: Callable[..., Answer], tmp_path: Path) -> None:
    """The three rows that tell the attributes apart are found by whoever learns from each attribute by itself."""
    for more in ((), LONGER):
        done = python(*ticketlab("run", "faces.yaml", *more))
        assert done.returncode == 0, done.stdout + done.stderr
    project = tmp_path / "project"
    print(sorted(map(str, (project / "runs").glob("**/metrics.json"))))
    for arm in ("ticket", "dense"):
        assert 0.2 < accuracy(project, "faces", arm) <= 1
        assert accuracy(project, "faces+train.steps-120", arm) > 0.95
    assert "3 classes, a yes or no for each attribute of each image" in python(*ticketlab("datasets")).stdout
    assert python(*ticketlab("run", "--smoke", "faces.yaml")).returncode == 0


SOURCES = """
import sys, ticketlab
steps = [step for _, step in ticketlab.plan("faces.yaml").plan.steps()]
assert "torch" not in sys.modules
print(*(step.digest for step in steps if "attributes.labels" in step.sources()))
print(*(step.digest for step in steps if "attributes.labels" not in step.sources()))
"""


def test_what_is_done_with_labels_is_part_of_every_step_that_sees_images(
    python: Callable[..., Answer], tmp_path: Path
) -> None:
    before = python("-c", SOURCES)
    assert before.stderr == ""
    path = tmp_path / "installed" / "attributes" / "labels.py"
    path.write_text(path.read_text().replace("len(there) + 1", "len(there) + 2"))
    seen, unseen = (line.split() for line in before.stdout.splitlines())
    seen_after, unseen_after = (line.split() for line in python("-c", SOURCES).stdout.splitlines())
    assert len(seen) == len(seen_after) == 6
    assert not set(seen) & set(seen_after)
    assert unseen == unseen_after == []


def test_labels_and_those_who_learn_from_others_are_told_apart(python: Callable[..., Answer]) -> None:
    page = ("model=mlp", "train.objective=cross_entropy", "ticket.method=magnitude", "ticket.probe=null")
    classifier = python(*ticketlab("run", "faces.yaml", *(part for one in page[:2] for part in ("--set", one))))
    assert classifier.returncode == 2
    assert "learns from a class for each image, and faces has a yes or no for each attribute" in classifier.stderr
    tagger = python(*ticketlab("run", "faces.yaml", "--set", "data.dataset=mnist"))
    assert tagger.returncode == 2
    assert "a dataset whose labels are of the kind `attributes`" in tagger.stderr


def test_without_the_package_its_datasets_say_what_is_missing(python: Callable[..., Answer]) -> None:
    done = python(*ticketlab("datasets"), installed=False)
    assert done.returncode == 1
    assert "there is no kind of label 'attributes'; there are class, map" in done.stderr
    assert "`ticketlab.labels`" in done.stderr
