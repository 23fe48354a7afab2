"""Samples are looked at through a network from a file: what is in it counts, is checked and recorded; where it lies does not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import ticketlab
from ticketlab.datasets.synthetic import stand_in
from ticketlab.errors import DataError, SpecError
from ticketlab.files import sha256_file
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.statement import facts
from ticketlab.metrics import inception
from ticketlab.run.events import Event, Notice
from ticketlab.run.experiment import Experiment
from ticketlab.run.missing import Missing
from ticketlab.run.project import Project
from ticketlab.run.verify import verify
from ticketlab.run.wanted_file import pinned, with_files
from ticketlab.run.within import replaced, within
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.evaluate import Inception, LabClassifier
from ticketlab.spec.model import ImagenetResnet
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.start import StateDictFile

PAGE = """\
name: seen
data: {{dataset: {dataset}, size: 32}}
model: {{kind: sngan, width: 4, critic_width: 4, latent: 8}}
train: {{objective: hinge, steps: 2, batch: 4, generator_batch: 4, n_critic: 1, ema: 0.5}}
evaluate: {{samples: 20, metrics: [frechet, {{kind: inception_score, splits: 2}}], extractor: {extractor}}}
compute: {{device: cpu, threads: 1}}
"""
ANY_TRAINING = re.sub(r"train: .*", "train: {train}", PAGE)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with images; the smallest pictures that the network takes, so that it looks fast."""
    monkeypatch.setattr(inception, "SIDE", 75)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    (tmp_path / ".ticketlab").mkdir()
    stand_in(KNOWN["fashion-mnist"], tmp_path)
    return tmp_path


def written(folder: Path) -> dict[str, str]:
    """The extractor from a file as torch writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(inception.noise(Inception(file="x", sha256="0" * 64)), folder / "w.pth")
    return {"kind": "inception", "file": "w.pth", "sha256": sha256_file(folder / "w.pth")}


def opened(project: Path, extractor: dict[str, str], *, smoke: bool = False) -> Experiment:
    file = project / "seen.yaml"
    dataset = "fashion-mnist" if smoke else "noise-like-fashion-mnist"
    file.write_text(PAGE.format(dataset=dataset, extractor=json.dumps(extractor)))
    return ticketlab.plan(file, smoke=smoke)


@pytest.mark.long
def test_a_run_looks_through_the_file_and_the_ledger_names_it(project: Path) -> None:
    extractor = written(project / "data" / "weights")
    outcome = ticketlab.run(opened(project, extractor))
    assert outcome.failures == []
    name = f"inception-v3-{extractor['sha256'][:8]}"
    score = f"inception_score_{name}"
    assert set(outcome.results[0].metrics) == {f"fd_{name}_2048", score, f"{score}_spread"}
    assert 1 <= outcome.results[0].metrics[score] <= 10
    (entry,) = Chain(project / "ledger.jsonl").entries()
    (named,) = facts(entry.statement).extractors
    assert (named.name, named.sha256) == ("w.pth", extractor["sha256"])
    assert verify(entry, Project(project)).finding == "IDENTICAL"


def test_where_the_file_lies_changes_no_step_and_its_content_changes_what_is_measured(project: Path) -> None:
    extractor = {"kind": "inception", "file": "w.pth", "sha256": "0" * 64}

    def steps(**changes: str) -> dict[str, str]:
        return {step.digest: step.kind for _, step in opened(project, {**extractor, **changes}).plan.steps()}

    before = steps()
    assert steps(file="/elsewhere/other.pth") == before
    after = steps(sha256="1" * 64)
    assert {kind for digest, kind in before.items() if digest not in after} == {"statistics", "evaluate"}


def test_a_file_that_is_not_there_or_another_stops_the_run_before_its_first_step_in_one_line(project: Path) -> None:
    extractor = written(project)
    for changes, said in (({"file": "none.pth"}, "no such file"), ({"sha256": "a" * 64}, "the sha256 of this file is")):
        experiment = opened(project, {**extractor, **changes})
        with pytest.raises(Missing) as caught:
            ticketlab.run(experiment)
        (problem,) = caught.value.problems
        assert said in problem.what
        assert problem.where
        assert "`inception`" in problem.mend
        assert experiment.pending() == list(experiment.plan.steps())


def test_a_file_is_found_by_its_path_then_by_its_name_among_the_weights(project: Path) -> None:
    options = Inception.model_validate(written(project / "data" / "weights"))
    theirs = project / "data" / "weights" / "w.pth"
    assert with_files(options, lambda _: project).file == str(theirs)
    mine = project / "w.pth"
    mine.write_bytes(theirs.read_bytes())
    assert pinned(options, project).checked() == (mine, options.sha256)
    mine.write_bytes(b"another")
    with pytest.raises(DataError, match="the sha256 of this file is"):
        with_files(options, lambda _: project)


def test_what_a_model_inside_starts_from_is_not_looked_for_again(tmp_path: Path) -> None:
    start = StateDictFile(file="gone.pth", sha256="0" * 64, names="moco")
    lens = LabClassifier(model=ImagenetResnet(depth=18, start=start))
    assert with_files(lens, lambda _: tmp_path) is lens
    assert list(within(lens, PinnedFile)) == [start]
    moved = replaced(lens, PinnedFile, lambda file: file.model_copy(update={"file": "here.pth"}))
    assert [file.file for file in within((1, moved), PinnedFile)] == ["here.pth"]
    assert moved.counting() == lens.counting()


@pytest.mark.long
def test_a_smoke_run_looks_through_noise_where_the_file_is_not_here_and_says_so(project: Path) -> None:
    events: list[Event] = []
    extractor = {"kind": "inception", "file": "data/weights/inception.pth", "sha256": "0" * 64}
    outcome = ticketlab.run(opened(project, extractor, smoke=True), listener=events.append)
    assert outcome.failures == []
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any(text.startswith("noise-like-inception.safetensors stands in") for text in told)
    here = opened(project, written(project), smoke=True).plan.cells[0].spec.evaluate.extractor
    assert isinstance(here, Inception)
    assert here.file == "w.pth"


def refused(project: Path, said: str, **parts: Any) -> bool:
    file = project / "refused.yaml"
    file.write_text(
        ANY_TRAINING.format(
            dataset="fashion-mnist",
            **{name: json.dumps(part) for name, part in parts.items()},
        )
    )
    with pytest.raises(SpecError, match=said) as caught:
        ticketlab.load_spec(file)
    return "  -> " in str(caught.value)


def test_what_cannot_be_meant_is_refused_when_the_spec_is_read(project: Path) -> None:
    """Classes of an extractor that has none; matching the features that measure, wherever the two files lie."""
    hinge = {"objective": "hinge", "steps": 2}
    assert refused(
        project, "counts classes, and the extractor `random_conv`", train=hinge, extractor={"kind": "random_conv"}
    )
    extractor = {"kind": "inception", "file": "w.pth", "sha256": "0" * 64}
    matching = {"objective": "moment_matching", "steps": 2, "extractor": {**extractor, "file": "copy.pth"}}
    assert refused(project, "cannot be measured by the same features", train=matching, extractor=extractor)
