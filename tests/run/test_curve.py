"""A curve is of the snapshots that are there: one of other bits is measured again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import ticketlab
from ticketlab.errors import Interrupted
from ticketlab.plan.steps import Curve, snapshot_file
from ticketlab.run.events import Event, Progress
from ticketlab.run.execute import Executor
from ticketlab.training import checkpoint


def test_a_snapshot_that_came_out_otherwise_is_measured_again(specks: Path) -> None:
    file = specks / "specs" / "small.yaml"
    file.write_text(file.read_text() + "evaluate: {every: 1}\n")
    experiment = ticketlab.plan(file)
    store = experiment.store
    curve = next(step for _, step in experiment.plan.steps() if isinstance(step, Curve))
    train = curve.inputs["weights"]
    for step in train.lineage():
        Executor(experiment.project.home, store, lambda event: None, lambda: False).ensure(step, "ticket")
    measured: list[int] = []

    def listener(event: Event) -> None:
        if isinstance(event, Progress):
            measured.append(event.step)

    with pytest.raises(Interrupted):
        Executor(experiment.project.home, store, listener, lambda: len(measured) == 2).ensure(curve, "ticket")
    assert measured == [1, 2]

    # As if the training had been done again on another machine: of three snapshots the second has other bits.
    before = store.result(train)
    other = specks / "other"
    shutil.copytree(before.folder, other)
    tensors, about = checkpoint.read(other / snapshot_file(2))
    checkpoint.write(other / snapshot_file(2), {name: -tensor for name, tensor in tensors.items()}, about)
    store.discard(train)
    after = store.finish(train, other, before.surroundings, before.inputs)

    found = Executor(experiment.project.home, store, listener, lambda: False).ensure(curve, "ticket")
    assert measured == [1, 2, 2, 3]
    assert found.inputs["weights"] == after.content != before.content
    assert json.loads(found.path("watch-0000002.json").read_bytes())


def test_a_training_that_begins_at_an_early_step_is_measured_from_its_first_snapshot_on(specks: Path) -> None:
    file = specks / "specs" / "small.yaml"
    page = file.read_text().replace("rate: 0.5}}", "rate: 0.5}, rewind: {step: 2}}").replace("steps: 4", "steps: 5")
    file.write_text(page + "evaluate: {every: 1}\n")
    experiment = ticketlab.plan(file)
    final = next(experiment.plan.arms()).plan.final
    assert final.train.begin == 2
    assert final.curve is not None
    executor = Executor(experiment.project.home, experiment.store, lambda event: None, lambda: False)
    for step in final.curve.lineage():
        executor.ensure(step, "ticket")
    curve = experiment.store.result(final.curve)
    assert sorted(curve.files) == ["watch-0000003.json", "watch-0000004.json"]
    kept = {name for name in experiment.store.result(final.train).files if name.startswith("snapshot")}
    assert kept == {snapshot_file(3), snapshot_file(4)}
