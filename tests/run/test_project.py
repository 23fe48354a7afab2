"""A project is the nearest folder above that looks like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticketlab.run.project import MARKS, Project


@pytest.mark.parametrize("mark", MARKS)
def test_a_spec_belongs_to_the_nearest_marked_folder_above_it(mark: str, tmp_path: Path) -> None:
    deep = tmp_path / "outer" / "inner" / "specs" / "more"
    deep.mkdir(parents=True)
    for folder in (tmp_path / "outer", tmp_path / "outer" / "inner"):
        (folder / mark).mkdir()
        assert Project.around(deep).root == folder.resolve()


def test_a_smoke_run_has_a_store_and_results_of_its_own(tmp_path: Path) -> None:
    real, smoke = Project(tmp_path), Project(tmp_path, smoke=True)
    assert smoke.lab.is_relative_to(real.lab)
    assert smoke.lab != real.lab
    assert smoke.runs.is_relative_to(smoke.lab)
    assert real.runs == tmp_path / "runs"
    assert smoke.ledger == real.ledger
