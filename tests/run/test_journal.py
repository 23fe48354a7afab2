"""A row of a curve survives a kill and is there once."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.run.journal import TOGETHER_SECONDS, Journal, rows


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def write(path: Path, steps: range) -> None:
    journal = Journal(path)
    for step in steps:
        journal(step, {"loss": 1 / (1 + step)})
    journal.close()


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.jsonl"
    write(path, range(3))
    assert rows(path) == [{"step": 0, "loss": 1.0}, {"step": 1, "loss": 0.5}, {"step": 2, "loss": 1 / 3}]
    times = [line["t"] for line in lines(path)]
    assert times == sorted(times, key=str)
    assert all(isinstance(time, int) and time > 1.6e12 for time in times)


def test_a_row_is_on_disk_as_soon_as_it_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "x")
    monkeypatch.setattr(time, "monotonic", itertools.count(step=2 * TOGETHER_SECONDS).__next__)
    for step in range(3):
        journal(step, {"a": 1})
        assert rows(tmp_path / "x")[-1] == {"step": step, "a": 1.0}
    journal.close()


def test_rows_that_follow_each_other_closely_are_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    journal = Journal(tmp_path / "x")
    seen = []
    for step in range(8):
        journal(step, {"a": 1})
        seen.append(len(rows(tmp_path / "x")))
        now += TOGETHER_SECONDS / 4
    assert seen == [1, 1, 1, 1, 5, 5, 5, 5]
    journal.sync()
    assert [row["step"] for row in rows(tmp_path / "x")] == list(range(8))
    journal(8, {"a": 1})
    journal(9, {"a": 1})
    journal.close()
    assert [row["step"] for row in rows(tmp_path / "x")] == list(range(10))


def test_a_replay_adds_no_row_and_keeps_the_first_times(tmp_path: Path) -> None:
    write(tmp_path / "x", range(5))
    before = (tmp_path / "x").read_bytes()
    write(tmp_path / "x", range(2, 8))
    assert (tmp_path / "x").read_bytes().startswith(before)
    assert [row["step"] for row in rows(tmp_path / "x")] == list(range(8))


def test_another_metric_of_the_same_step_is_a_row_of_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "x")
    journal(1, {"a": 1})
    journal(1, {"a": 1, "b": 2})
    journal.close()
    assert rows(tmp_path / "x") == [{"step": 1, "a": 1.0}, {"step": 1, "b": 2.0}]


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(min_value=0, max_value=400), again=st.integers(min_value=0, max_value=6))
def test_a_journal_torn_anywhere_goes_on_with_every_row_once(
    cut: int, again: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "x"
    write(path, range(6))
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    survived = content[:cut].count(b"\n")
    assert [row["step"] for row in rows(path)] == list(range(survived))
    write(path, range(min(again, survived), 6))
    assert [row["step"] for row in rows(path)] == list(range(6))
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    "spoilt", [b"\0\0\0\0\n", b"[]\n", b'{"step": 1}\n', b"\xff\xfe\n", b'{"step": "x", "metrics": {}}\n']
)
def test_a_spoilt_line_costs_that_line_only(spoilt: bytes, tmp_path: Path) -> None:
    write(tmp_path / "x", range(2))
    content = (tmp_path / "x").read_bytes().splitlines(keepends=True)
    (tmp_path / "x").write_bytes(content[0] + spoilt + content[1])
    assert [row["step"] for row in rows(tmp_path / "x")] == [0, 1]
    write(tmp_path / "x", range(3))
    assert [row["step"] for row in rows(tmp_path / "x")] == [0, 1, 2]


def test_a_value_that_is_not_finite_is_null_in_the_file_and_no_number_when_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "x")
    journal(1, {"a": float("inf"), "b": float("nan"), "c": -float("inf"), "d": 2.0})
    journal.close()
    (row,) = rows(tmp_path / "x")
    assert [name for name, value in row.items() if value != value] == ["a", "b", "c"]
    assert row["d"] == 2
    json.loads((tmp_path / "x").read_text(), parse_constant=pytest.fail)


def test_a_journal_that_is_not_there_has_no_rows(tmp_path: Path) -> None:
    assert rows(tmp_path / "x") == []


def test_a_row_that_does_not_fit_on_the_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    journal = Journal(path)
    journal(1, {"loss": 1.0})
    before = path.read_bytes()

    class Full:
        """A disk with room for five more bytes."""

        def __init__(self, handle: io.FileIO) -> None:
            self.handle, self.room = handle, 5

        def write(self, content: bytes) -> int:
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = self.handle.write(content[: self.room])
            self.room -= written
            return written

        def __getattr__(self, name: str) -> object:
            return getattr(self.handle, name)

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_handle", Full(journal._handle))
        journal(2, {"loss": 0.5})
        with pytest.raises(OSError, match="No space"):
            journal.sync()
        assert path.read_bytes() == before
    journal(3, {"loss": 0.25})
    journal.close()
    assert [row["step"] for row in rows(path)] == [1, 2, 3]


def test_closed_rows_are_on_the_disk_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write(tmp_path / "rows.jsonl", range(3))
    assert synced[-1] == "rows.jsonl"
    assert tmp_path.name in synced, "the file's name, too"
