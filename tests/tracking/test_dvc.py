from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ticketlab.errors import TrackingError
from ticketlab.files import sha256_file
from ticketlab.tracking import dvc
from ticketlab.tracking.pipeline import md5_of, stages_of

PIPELINE = """
stages:
  statistics:
    matrix: {spec: [tiny]}
    cmd: ticketlab statistics specs/${item.spec}.yaml
    deps: ["specs/${item.spec}.yaml"]
    outs: ["runs/${item.spec}/statistics"]
  run:
    matrix: {spec: [tiny]}
    cmd: ticketlab run specs/${item.spec}.yaml
    deps: ["specs/${item.spec}.yaml", "runs/${item.spec}/statistics"]
    outs: ["runs/${item.spec}/tickets"]
    metrics: ["runs/${item.spec}/metrics.json": {cache: false}]
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def call(folder: Path, *command: str) -> str:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org"}
    environment |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def test_a_run_outside_dvc_leaves_status_clean_and_repro_with_nothing_to_do(git_repository: Path) -> None:
    write(git_repository / "dvc.yaml", PIPELINE)
    write(git_repository / "specs" / "tiny.yaml", "seed: 0\n")
    for path, text in {"statistics/a.json": "1", "tickets/t.bin": "2", "metrics.json": '{"fid": 3}'}.items():
        write(git_repository / "runs" / "tiny" / path, text)
    assert set(dvc.status(git_repository)) == {"statistics@tiny", "run@tiny"}
    assert dvc.commit(git_repository, stages_of(git_repository, "specs/tiny.yaml"))
    assert dvc.status(git_repository) == {}
    assert "didn't change" in call(git_repository, sys.executable, "-m", "dvc", "repro")
    metrics = json.loads(call(git_repository, sys.executable, "-m", "dvc", "metrics", "show", "--json"))
    assert metrics[""]["data"]["runs/tiny/metrics.json"]["data"] == {"fid": 3}
    md5 = hashlib.md5(b'{"fid": 3}').hexdigest()
    assert md5_of(git_repository, "runs/tiny/metrics.json") == md5


def test_data_travel_with_a_clone_through_the_remote_inside_the_repository(
    git_repository: Path, tmp_path: Path
) -> None:
    root = Path(__file__).parents[2]
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore"):
        shutil.copy(root / name, git_repository / name)
    write(git_repository / "data" / "toy" / "train.bin", "numbers")
    assert dvc.add(git_repository, ["data"])
    call(git_repository, sys.executable, "-m", "dvc", "push", "--quiet")
    call(git_repository, "git", "add", "--all")
    call(git_repository, "git", "commit", "--quiet", "--message", "data")
    clone = tmp_path / "clone"
    call(tmp_path, "git", "clone", "--quiet", str(git_repository), str(clone))
    assert not (clone / "data").exists()
    shutil.rmtree(git_repository)
    assert dvc.is_repository(clone)
    assert dvc.pull(clone, "data.dvc")
    assert (clone / "data" / "toy" / "train.bin").read_text() == "numbers"
    assert str(md5_of(clone, "data")).endswith(".dir")


def test_the_remote_of_this_repository_holds_what_data_dvc_promises() -> None:
    root = Path(__file__).parents[2]
    store = root / ".dvc" / "remote" / "files" / "md5"
    listed = str(md5_of(root, "data"))
    for entry in json.loads((store / listed[:2] / listed[2:]).read_text()):
        kept = store / entry["md5"][:2] / entry["md5"][2:]
        assert kept.is_file()
        present = root / "data" / entry["relpath"]
        assert not present.exists() or sha256_file(present) == sha256_file(kept)


def test_inside_a_stage_nothing_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "run@tiny")
    assert dvc.inside_stage()
    assert not dvc.pull(tmp_path, "data.dvc")
    assert not dvc.add(tmp_path, ["data"])
    assert not dvc.commit(tmp_path, ["run@tiny"])
    assert dvc.status(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_what_dvc_says_is_passed_on_with_a_mend(tmp_path: Path) -> None:
    assert not dvc.is_repository(tmp_path)
    with pytest.raises(TrackingError, match="not inside of a DVC repository") as caught:
        dvc.pull(tmp_path, "data.dvc")
    assert "dvc remote list" in caught.value.mend


def test_calls_at_once_take_turns(git_repository: Path) -> None:
    for i in range(3):
        write(git_repository / f"file{i}", str(i))
    with ThreadPoolExecutor() as pool:
        assert all(pool.map(lambda i: dvc.add(git_repository, [f"file{i}"]), range(3)))
    assert all(md5_of(git_repository, f"file{i}") for i in range(3))


def test_a_dvc_command_of_the_user_is_waited_for(git_repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(git_repository / "file", "content")
    held: list[Any] = [(git_repository / ".dvc" / "tmp" / "lock").open("w")]
    fcntl.flock(held[0], fcntl.LOCK_EX)
    pauses = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        held.pop().close()

    monkeypatch.setattr(dvc.time, "sleep", sleep)
    assert dvc.add(git_repository, ["file"])
    assert pauses == [0.5]
