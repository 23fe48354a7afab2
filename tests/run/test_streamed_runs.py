"""Runs on a streamed dataset: interrupted anywhere, with any number of helping processes, they come out the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketlab.datasets.places import link_of
from ticketlab.datasets.sources import add
from ticketlab.errors import DataError, Interrupted, SpecError
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.statement import facts
from ticketlab.run.events import Event, Notice
from ticketlab.run.experiment import open_experiment, run
from ticketlab.run.published import ArmResult

SPEC = """\
name: streamed
data: {dataset: small, count: 15, size: 32}
model: {kind: tiny_resnet, depth: 18, width: 2}
ticket: {method: snip, schedule: {rounds: 2, density: 0.5}, probe: {per_class: 2, batch: 3}}
arms: [ticket]
train:
  objective: cross_entropy
  steps: 6
  batch: 4
  augment: [{kind: resized_crop, scale: [0.2, 1]}, grayscale, jitter, flip]
evaluate: {every: 3}
compute: {device: cpu, threads: 1, log_every: 1, checkpoint_seconds: 0, workers: 0}
"""


@pytest.fixture
def project(tmp_path: Path, photographs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project outside git and DVC with eighteen photographs and specs/streamed.yaml; no MLflow."""
    root = tmp_path / "project"
    (root / ".ticketlab").mkdir(parents=True)
    (root / "specs").mkdir()
    (root / "specs" / "streamed.yaml").write_text(SPEC)
    add("imagenet", root, photographs(tmp_path / "photographs"), as_name="small", size=None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    return root


def done(
    project: Path, workers: int = 0, stopping: Callable[[], bool] = lambda: False, fresh: bool = False
) -> dict[str, ArmResult]:
    # Not by an override: the results are to lie in one folder and one store.
    spec = project / "specs" / "streamed.yaml"
    spec.write_text(SPEC.replace("workers: 0", f"workers: {workers}"))
    outcome = run(open_experiment(spec), stopping=stopping, fresh=fresh)
    assert not outcome.failures, outcome.failures
    return {result.name: result for result in outcome.results}


def left(results: dict[str, ArmResult]) -> dict[str, dict[str, str]]:
    return {name: dict(result.sha256) for name, result in results.items()}


def test_an_interrupted_run_goes_on_with_other_helpers_to_the_same_bits(project: Path) -> None:
    expected = left(done(project))
    asked = 0

    def sometimes() -> bool:
        nonlocal asked
        asked += 1
        return asked % 3 == 0

    fresh, stops = True, 0
    for attempt in range(50):
        try:
            assert left(done(project, attempt % 3, sometimes, fresh)) == expected
            break
        except Interrupted:
            fresh, stops = False, stops + 1
    assert stops > 1
    (entry, *_) = Chain(project / "ledger.jsonl").entries()
    splits = facts(entry.statement).splits
    assert [one.path for one in splits] == ["data/small/test.tsv", "data/small/train.tsv"]


@pytest.mark.long
def test_a_killed_run_leaves_no_helper_in_the_way_of_the_next(project: Path) -> None:
    expected = left(done(project))
    spec = project / "specs" / "streamed.yaml"
    spec.write_text(SPEC.replace("workers: 0", "workers: 2"))
    command = [sys.executable, "-m", "ticketlab", "run", str(spec), "--fresh"]
    begun = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 100
    while begun.poll() is None and time.monotonic() < end:
        if list((project / ".ticketlab" / "work").glob("*/checkpoint.safetensors")):
            begun.send_signal(signal.SIGKILL)
        time.sleep(0.005)
    assert begun.wait() == -signal.SIGKILL
    assert left(done(project, 2)) == expected


def test_what_changes_of_the_pictures_stops_the_run_and_names_the_file(project: Path) -> None:
    path = sorted((project.parent / "photographs" / "val").rglob("*.JPEG"))[3]
    path.write_bytes(path.read_bytes()[:-1])
    outcome = run(open_experiment(project / "specs" / "streamed.yaml"))
    assert len(outcome.failures) == 1
    assert all(failure.error.where == str(path) for failure in outcome.failures)


def test_a_project_with_the_index_alone_says_how_to_get_the_pictures_and_smokes_on_noise(project: Path) -> None:
    spec = project / "specs" / "streamed.yaml"
    link_of(project, "small").unlink()
    with pytest.raises(DataError, match="not on this machine"):
        run(open_experiment(spec))
    events: list[Event] = []
    outcome = run(open_experiment(spec, to_smoke=True), events.append)
    assert not outcome.failures
    assert any(isinstance(event, Notice) and "noise-like-small" in event.text for event in events)


def test_pictures_cannot_be_padded(project: Path) -> None:
    with pytest.raises(SpecError, match="cut out of larger pictures"):
        open_experiment(project / "specs" / "streamed.yaml", ["data.fit=pad"])


def test_the_release_of_what_opens_pictures_counts_where_pictures_are_opened(project: Path) -> None:
    from ticketlab.plan.sources import releases

    plan = open_experiment(project / "specs" / "streamed.yaml").plan
    kinds = {step.kind: step for _, step in plan.steps()}
    assert all("pillow" in releases(kinds[kind].sources()) for kind in ("subset", "draw", "train", "evaluate"))
    assert "pillow" not in releases(("ticketlab.run.steps.train", "ticketlab.datasets.held"))
    assert json.loads((project / "data" / "small" / "dataset.json").read_text())["kept"] == "index"
    assert link_of(project, "small").readlink() == project.parent / "photographs"
