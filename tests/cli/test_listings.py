"""What a spec may name is listed for people and for scripts, and it is what the language accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ticketlab.spec.catalog import KNOWN


@pytest.mark.parametrize(
    ("command", "some"),
    [
        ("methods", {"none", "magnitude", "random"}),
        ("models", {"sngan", "mlp", "lenet", "resnet", "convnet"}),
        ("datasets", set(KNOWN)),
    ],
)
def test_lists_name_everything_and_say_what_it_is(command: str, some: set[str], ticketlab: Callable[..., Any]) -> None:
    text, listed = ticketlab(command), ticketlab(command, "--json")
    assert (text.exit_code, listed.exit_code) == (0, 0)
    rows = json.loads(listed.stdout)
    assert some <= {row["name"] for row in rows}
    for row in rows:
        assert row["about"]
        assert any(line.startswith(row["name"]) for line in text.stdout.splitlines())


def test_a_dataset_that_was_added_is_listed_as_being_here(ticketlab: Callable[..., Any], project: Path) -> None:
    import torch

    from ticketlab.datasets.pack import Split, write_pack

    some = Split(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    write_pack(project, "mine", {"train": some, "test": some}, class_names=("a", "b"), licence="none", source="a test")
    line = next(line for line in ticketlab("datasets").stdout.splitlines() if line.startswith("mine"))
    assert "here" in line
    assert "4 + 4 images, 1x8x8, 2 classes" in line


def test_the_schema_is_printed_and_written_alike(ticketlab: Callable[..., Any], project: Path) -> None:
    assert ticketlab("schema", "out.json").exit_code == 0
    written = json.loads((project / "out.json").read_text())
    assert json.loads(ticketlab("schema").stdout) == written
    assert written["title"] == "ticketlab spec"
