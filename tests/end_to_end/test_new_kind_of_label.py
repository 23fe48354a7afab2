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
data: {dataset: faces, count: 24}
model: tagger
ticket: {method: snip, probe: {per_class: 2, batch: 4}, schedule: {density: 0.5}}
train: {objective: binary_cross_entropy, steps: 60, batch: 10, augment: [flip]}
compute: {device: cpu, threads: 1}
"""

ADDED = """
from pathlib import Path
from attributes.reading import add
from ticketlab.datasets.pack import read_split
from ticketlab.datasets.synthetic import stand_in
from ticketlab.spec.catalog import facts

kind = add(Path()).labels
noise = read_split(Path(), stand_in(facts("faces", Path()), Path()), "train")
print(kind, list(noise.labels.shape), len(noise.labelling.shown(noise.labels).unique()))
"""
"""The reader is called; smoke runs could do with noise in its place."""

Answer = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attributes")


@pytest.fixture(scope="module")
def python(root: Path) -> Callable[..., Answer]:
    """Python in a project with a dataset of attributes, the package installed as pip would have it."""
    home = root / "installed"
    shutil.copytree(Path(__file__).parent / "attributes", home / "attributes")
    facts = home / "attributes-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: attributes\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(POINTS)
    project = root / "project"
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

    added = call("-c", ADDED)
    assert (added.stdout, added.stderr) == ("attributes [128, 3] 3\n", "")
    return call


def ticketlab(*arguments: str) -> tuple[str, ...]:
    return ("-m", "ticketlab", *arguments)


def test_a_ticket_is_drawn_trained_and_measured_by_attributes(python: Callable[..., Answer], root: Path) -> None:
    done = python(*ticketlab("run", "faces.yaml"))
    assert done.returncode == 0, done.stdout
    (found,) = (root / "project" / "runs" / "faces" / "ticket").glob("**/metrics.json")
    assert 0.9 < json.loads(found.read_text())["attribute_accuracy"] <= 1


SOURCES = """
import sys, ticketlab
steps = [step for _, step in ticketlab.plan("faces.yaml").plan.steps()]
assert "torch" not in sys.modules
print(*(step.digest for step in steps))
"""


def test_what_is_done_with_labels_is_part_of_every_step_that_sees_images(
    python: Callable[..., Answer], root: Path
) -> None:
    before = python("-c", SOURCES)
    assert before.stderr == ""
    path = root / "installed" / "attributes" / "labels.py"
    text = path.read_text()
    assert "len(there) + 1" in text
    path.write_text(text.replace("len(there) + 1", "len(there) + 2"))
    after = python("-c", SOURCES)
    path.write_text(text)
    assert len(before.stdout.split()) == len(after.stdout.split()) == 4
    assert not set(before.stdout.split()) & set(after.stdout.split())


def test_labels_and_those_who_learn_from_others_are_told_apart(python: Callable[..., Answer]) -> None:
    classifier = python(*ticketlab("run", "faces.yaml", "--set", "model=mlp", "--set", "train.objective=cross_entropy"))
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
