from __future__ import annotations

from pathlib import Path

import pytest

from ticketlab.errors import TrackingError
from ticketlab.tracking.pipeline import md5_of, stage_of, stages_of

PIPELINE = """
stages:
  statistics:
    matrix: {spec: [quickstart, gan/tiny], split: [train, 2]}
    cmd: ticketlab statistics specs/${item.spec}.yaml --split ${ item.split }
  run:
    matrix: {spec: [quickstart, gan/tiny]}
    cmd: ticketlab run specs/${item.spec}.yaml
  single:
    cmd: ticketlab run specs/single.yaml
  other:
    cmd: echo specs/quickstart.yaml
"""


def test_a_project_without_dvc_files_has_no_stages_and_no_digests(tmp_path: Path) -> None:
    assert stage_of(tmp_path, "specs/quickstart.yaml") is None
    assert stages_of(tmp_path, "specs/quickstart.yaml") == []
    assert md5_of(tmp_path, "data") is None


def test_stages_are_found_through_the_matrix(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    assert stage_of(tmp_path, "specs/gan/tiny.yaml") == "run@gan/tiny"
    assert stage_of(tmp_path, "./specs/single.yaml") == "single"
    assert stage_of(tmp_path, "specs/unknown.yaml") is None
    assert stages_of(tmp_path, "specs/quickstart.yaml") == ["statistics@quickstart-train", "run@quickstart"]


def test_digests_come_from_dvc_files_and_from_the_lock(tmp_path: Path) -> None:
    (tmp_path / "data.dvc").write_text("outs:\n- md5: aa.dir\n  path: data\n")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x.npz.dvc").write_text("outs:\n- md5: cc\n  path: x.npz\n")
    (tmp_path / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  s:\n    cmd: c\n    outs:\n    - path: runs/t\n      md5: bb\n"
    )
    assert [md5_of(tmp_path, path) for path in ("data", "runs/x.npz", "runs/t", "x.npz")] == [
        "aa.dir",
        "cc",
        "bb",
        None,
    ]


def test_a_broken_file_is_named_and_nothing_in_it_is_executed(tmp_path: Path) -> None:
    for text in ("stages: [", "stages: !!python/object/apply:os.system ['touch executed']"):
        (tmp_path / "dvc.yaml").write_text(text)
        with pytest.raises(TrackingError, match=r"dvc\.yaml"):
            stage_of(tmp_path, "specs/quickstart.yaml")
    assert not (tmp_path / "executed").exists()


def test_the_pipeline_of_this_repository_names_its_quickstart() -> None:
    root = Path(__file__).parents[2]
    assert stages_of(root, "specs/quickstart.yaml") == ["statistics@quickstart", "run@quickstart"]
    assert str(md5_of(root, "data")).endswith(".dir")
