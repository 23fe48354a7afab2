"""A file is the old one or the new one, and what a kill leaves beside it is found and removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ticketlab.files import (
    canonical_json,
    copy_atomically,
    is_gone,
    owner,
    read_sealed,
    remove_abandoned,
    write_atomically,
    write_json,
)

KILLED = """
import os, signal, sys
from pathlib import Path
from ticketlab import files
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
files.write_atomically(Path(sys.argv[1]), b"new" * 1000)
"""


def killed_while_writing(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -9


def test_a_kill_inside_a_write_leaves_the_old_file_and_a_scratch_that_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    write_atomically(path, b"old")
    killed_while_writing(path)
    assert path.read_bytes() == b"old"
    assert len(list(path.parent.iterdir())) == 2
    remove_abandoned(tmp_path)
    assert list(path.parent.iterdir()) == [path]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_the_scratch_of_a_live_process_and_files_of_others_stay(tmp_path: Path) -> None:
    for name in (f".x.json.{owner()}-ab12.part", ".x.json.part", "x.part", ".gitignore", ".y.999999-.parts"):
        (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.iterdir())
    remove_abandoned(tmp_path)
    remove_abandoned(tmp_path / "absent")
    assert sorted(tmp_path.iterdir()) == before


def test_what_another_machine_writes_on_a_shared_file_system_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    killed_while_writing(path)
    (scratch,) = tmp_path.iterdir()
    number = owner().rpartition(".")[2]
    writer = scratch.name.removeprefix(".x.json.").rpartition("-")[0]
    assert writer.rpartition(".")[2] != number
    elsewhere = scratch.with_name(scratch.name.replace(owner().rpartition(".")[0], "another-host", 1))
    scratch.rename(elsewhere)
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [elsewhere], "its writer may be at work there, whatever has that number here"
    elsewhere.rename(scratch)
    remove_abandoned(tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_a_process_of_this_machine_can_be_known_to_be_gone() -> None:
    host, _, number = owner().rpartition(".")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert is_gone(f"{host}.{process.pid}")
    assert not is_gone(f"another-host.{process.pid}")
    assert not is_gone(f"{host}.{number}")
    assert not is_gone(f"{process.pid}")
    assert not is_gone("")


def test_an_error_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write_atomically(tmp_path / "x", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "x", b"new")
    source = tmp_path.parent / f"{tmp_path.name}-source"
    source.write_bytes(b"newer")
    with pytest.raises(OSError, match="No space"):
        copy_atomically(source, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_copy_has_every_byte_and_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "folder" / "copy"
    for content in (b"old", bytes(range(256)) * 1000):
        source.write_bytes(content)
        copy_atomically(source, target)
        assert target.read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == ["copy"]


def test_json_has_one_spelling(tmp_path: Path) -> None:
    assert canonical_json({"b": [1, 2.5], "a": "ä"}) == b'{"a":"\\u00e4","b":[1,2.5]}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
    write_json(tmp_path / "x", {"b": 1, "a": None})
    assert (tmp_path / "x").read_text() == '{\n  "a": null,\n  "b": 1\n}\n'


@pytest.mark.parametrize("content", ["[" * 100_000, "[" * 990 + "]" * 990, "{", "", "[]", '{"seal": ""}'])
def test_what_is_no_sealed_file_is_refused_in_one_way(tmp_path: Path, content: str) -> None:
    (tmp_path / "x").write_text(content)
    with pytest.raises(ValueError, match=r"\w"):
        read_sealed(tmp_path / "x")
