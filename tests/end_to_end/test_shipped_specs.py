"""The specs that need no download, run as they are shipped and verified to the bit by the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ticketlab.run.reading import load_spec

SPECS = Path(__file__).parents[2] / "specs"
HERE = "fashion-mnist-mini"
"""The dataset that comes with the repository."""


def of_this_repository() -> list[str]:
    """The shipped specs on images that come with it, through no file that does not."""
    pages = {path.relative_to(SPECS).as_posix(): load_spec(path).spec for path in sorted(SPECS.rglob("*.yaml"))}
    return [
        name for name, spec in pages.items() if spec.data.dataset == HERE and "sha256" not in json.dumps(spec.asks())
    ]


@pytest.mark.long
@pytest.mark.parametrize("name", of_this_repository())
def test_a_shipped_spec_runs_and_is_verified_to_the_bit(copied: Any, name: str) -> None:
    place = copied.place
    spec = place.root / "specs" / name
    spec.parent.mkdir(exist_ok=True)
    shutil.copy(SPECS / name, spec)
    ran = place.ticketlab("run", f"specs/{name}")
    assert ran.code == 0, ran.out + ran.err
    verified = place.ticketlab("verify", f"specs/{name}")
    assert verified.code == 0, verified.out + verified.err
    ends = [
        line.strip() for line in verified.out.splitlines() if line.strip() in ("IDENTICAL", "WITHIN BAND", "DIFFERS")
    ]
    arms = sum(len(cell.spec.arms or ()) for cell in load_spec(spec).cells)
    assert ends == ["IDENTICAL"] * arms
