"""What a run needs and this machine has not is said once, before the first step, and by the plan."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import ticketlab
from ticketlab.cli.main import app
from ticketlab.datasets.expected import UNKNOWN, expected_manifest
from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.pins import write_pins
from ticketlab.datasets.places import link_of
from ticketlab.datasets.shape import ImageShape
from ticketlab.datasets.sources import add
from ticketlab.datasets.synthetic import stand_in
from ticketlab.errors import DataError
from ticketlab.run.estimate import estimate
from ticketlab.run.events import Event
from ticketlab.run.experiment import Experiment
from ticketlab.run.missing import Missing, all_missing
from ticketlab.spec.catalog import KNOWN, DatasetFacts

PAGE = """\
name: far
data: {dataset: cifar10, size: 32}
model: {kind: imagenet_resnet, depth: 18, width: 8, start: {kind: file, file: nowhere.pth, sha256: "SHA", names: torchvision}}
ticket: {method: magnitude, schedule: {density: 0.5}}
arms: [ticket, dense, random]
train: {objective: cross_entropy, steps: 2, batch: 4}
matrix:
  seed: [0, 1]
compute: {device: cpu, threads: 1}
""".replace("SHA", "0" * 64)

SMALL = """\
name: small
data: {{dataset: {dataset}}}
model: {{kind: mlp, hidden: [4]}}
arms: [dense]
train: {{objective: cross_entropy, steps: 2, batch: 4}}
compute: {{device: cpu, threads: 1}}
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A spec of six arms without its images and without its weights, in a project."""
    (tmp_path / ".ticketlab").mkdir()
    file = tmp_path / "far.yaml"
    file.write_text(PAGE)
    return file


def missing(experiment: Experiment) -> list[str]:
    return [str(problem) for problem in all_missing(experiment.project, experiment.pending())]


def test_a_run_says_each_missing_thing_once_and_begins_no_step(page: Path) -> None:
    events: list[Event] = []
    with pytest.raises(Missing) as caught:
        ticketlab.run(ticketlab.plan(page), listener=events.append)
    assert isinstance(caught.value, DataError)
    assert caught.value.exit_code == 1
    assert str(caught.value).count("the dataset cifar10 is not in this project") == 1
    assert str(caught.value).count("there is no such file of weights") == 1
    assert len(str(caught.value).splitlines()) == 4
    assert events == []
    assert not (page.parent / "runs").exists()


def test_the_command_line_names_no_folder_of_results_that_is_not_there(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Missing):
        app(["run", str(page)], standalone_mode=False)
    assert "results" not in capsys.readouterr().out


def test_a_plan_lists_what_is_missing(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app(["plan", str(page)], standalone_mode=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("missing: ")]
    assert len(lines) == 2
    assert lines[0].endswith("the dataset cifar10 is not in this project")
    assert "nowhere.pth" in lines[1]


def test_a_smoke_run_has_stand_ins_and_misses_nothing(page: Path) -> None:
    assert missing(ticketlab.plan(page, smoke=True)) == []


def test_a_file_that_is_another_is_said_before_the_first_step_too(page: Path) -> None:
    (page.parent / "nowhere.pth").write_bytes(b"another")
    assert ["the sha256 of this file is" in one for one in missing(ticketlab.plan(page))] == [False, True]


def test_a_pack_of_which_a_split_is_gone_and_pictures_that_lie_elsewhere_now_are_missing(
    specks: Path, photographs: Callable[..., Path]
) -> None:
    small = specks / "specs" / "small.yaml"
    assert missing(ticketlab.plan(small)) == []
    (specks / "data" / "specks" / "test.safetensors").unlink()
    (said,) = missing(ticketlab.plan(small))
    assert "the dataset specks is not in this project" in said

    add("imagenet", specks, photographs(specks / "photographs"), as_name="photographs", size=None)
    page = small.read_text().replace("dataset: specks", "dataset: photographs")
    small.write_text(page)
    assert missing(ticketlab.plan(small)) == []
    link_of(specks, "photographs").unlink()
    (said,) = missing(ticketlab.plan(small))
    assert "the pictures of photographs are not on this machine" in said


def test_what_is_done_already_needs_no_images_and_done_afresh_keeps_what_there_is(run_specks: Path) -> None:
    (run_specks / "data" / "specks" / "train.safetensors").unlink()
    experiment = ticketlab.plan(run_specks / "specs" / "small.yaml")
    assert experiment.pending() == []
    assert missing(experiment) == []
    with pytest.raises(Missing):
        ticketlab.run(experiment, fresh=True)
    assert experiment.pending() == []


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_known_dataset_can_be_planned_without_it(name: str, tmp_path: Path) -> None:
    known, found = KNOWN[name], expected_manifest(tmp_path, name)
    assert found.shape == ImageShape(known.channels, known.size, known.classes)
    assert found.counts == {"train": known.train, "test": known.test}
    assert (found.labels, found.kept == "index") == (known.labels, known.streamed)
    assert (UNKNOWN in found.sha256.values()) == (known.pinned is None)


def test_a_plan_on_the_catalogues_word_says_what_is_missing_and_no_digest(page: Path) -> None:
    page.write_text(PAGE.replace("cifar10", "cifar100"))
    found = estimate(ticketlab.plan(page))
    assert {step.digest for step in found.steps} == {""}
    assert "get it with `ticketlab data add cifar100`" in found.missing[0]
    assert next(iter(found.networks.values())).multiply_adds > 0
    with pytest.raises(Missing):
        ticketlab.run(ticketlab.plan(page))


def test_a_dataset_that_is_neither_there_nor_known_is_planned_by_nobody(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the dataset unheard-of is not in this project"):
        expected_manifest(tmp_path, "unheard-of")
    stand_in(KNOWN["cifar10"], tmp_path)
    assert expected_manifest(tmp_path, "noise-like-cifar10") == read_manifest(tmp_path, "noise-like-cifar10")


@pytest.mark.long
def test_what_a_run_pulls_from_dvc_is_planned_again_with_all_that_is_known_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = DatasetFacts("noise-like-mnist", "noise", 1, 28, 10, 128, 128, "none: noise", "made by a smoke run")
    small = replace(small, class_names=tuple("0123456789"))
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    stand_in(replace(KNOWN["mnist"], class_names=small.class_names), root)
    for command in (
        ("git", "init", "-q"),
        (sys.executable, "-m", "dvc", "init", "-q"),
        (sys.executable, "-m", "dvc", "remote", "add", "-d", "here", str(tmp_path / "remote")),
        (sys.executable, "-m", "dvc", "add", "data"),
        (sys.executable, "-m", "dvc", "push"),
    ):
        subprocess.run(command, cwd=root, check=True, capture_output=True)
    write_pins(root)
    shutil.rmtree(root / "data")
    shutil.rmtree(root / ".dvc" / "cache")
    page = SMALL.format(dataset=small.name)
    (root / "small.yaml").write_text(page)

    monkeypatch.setitem(KNOWN, small.name, small)
    before = ticketlab.plan(root / "small.yaml")
    assert UNKNOWN in before.plan.cells[0].files.values()
    outcome = ticketlab.run(before)
    assert outcome.failures == []
    after = ticketlab.plan(root / "small.yaml")
    assert UNKNOWN not in after.plan.cells[0].files.values()
    assert after.pending() == []
