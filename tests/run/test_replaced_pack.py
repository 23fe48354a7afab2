"""A run works on the images it was planned for, or says that they were replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ticketlab
from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.pack import Split, write_pack
from ticketlab.errors import StepFailed
from ticketlab.files import canonical_json, sha256_bytes, sha256_file
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.statement import facts
from ticketlab.run.events import Event, StepStarted


def replace_pack(root: Path) -> None:
    """Another pack under the same name, whole and sound, with as many images of the same shape."""
    noise = torch.Generator().manual_seed(1)

    def split(count: int) -> Split:
        images = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=noise)
        return Split(images, torch.arange(count) % 2)

    splits = {"train": split(64), "test": split(32)}
    write_pack(root, "specks", splits, class_names=("a", "b"), licence="CC0-1.0", source="noise")  # type: ignore[arg-type]


@pytest.mark.parametrize("data", ["{dataset: specks}", "{dataset: specks, ratio: 0.5}"])
def test_a_pack_that_is_replaced_after_planning_is_not_worked_on(specks: Path, data: str) -> None:
    file = specks / "specs" / "small.yaml"
    file.write_text(file.read_text().replace("{dataset: specks}", data))
    experiment = ticketlab.plan(file)
    planned = read_manifest(specks, "specks").content
    replace_pack(specks)
    (failure,) = ticketlab.run(experiment).failures
    assert isinstance(failure.error, StepFailed)
    assert "data/specks is not the dataset that this run was planned for" in failure.error.what
    assert failure.error.mend == "run the same command again"
    assert not any(
        experiment.store.has(step)
        for _, step in experiment.plan.steps()
        if step.kind in ("train", "subset", "evaluate")
    )
    assert not (specks / "ledger.jsonl").exists()

    assert not ticketlab.run(ticketlab.plan(file)).failures
    (entry,) = Chain(specks / "ledger.jsonl").entries()
    now = read_manifest(specks, "specks").content
    assert now != planned
    stated = facts(entry.statement)
    assert stated.data[0].sha256 == now
    # What the documentation says of these digests, word for word.
    described = json.loads((specks / "data" / "specks" / "dataset.json").read_bytes())
    members = {name: described[name] for name in ("sha256", "mean", "std")}
    assert sha256_bytes(canonical_json(members)) == now
    assert [split.name for split in stated.splits] == ["specks/test.safetensors", "specks/train.safetensors"]
    for split in stated.splits:
        assert sha256_file(specks / (split.path or "")) == split.sha256


def test_a_pack_that_is_replaced_in_the_middle_fails_what_comes_after(specks: Path) -> None:
    experiment = ticketlab.plan(specks / "specs" / "small.yaml")
    replaced: list[str] = []

    def listener(event: Event) -> None:
        if isinstance(event, StepStarted) and event.title.startswith("evaluate") and not replaced:
            replace_pack(specks)
            replaced.append(event.title)

    (failure,) = ticketlab.run(experiment, listener=listener).failures
    assert replaced
    assert "was replaced meanwhile" in failure.error.what
