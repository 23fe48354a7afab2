from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.tracking.journal import MAX_BATCH, Mark, Row, batches
from ticketlab.tracking.outbox import Journal
from ticketlab.tracking.rows import checked

JOURNAL = Journal("rows.jsonl")


def line(step: int, t: int = 1000, **metrics: float | None) -> str:
    return checked(json.dumps({"t": t, "step": step, "metrics": metrics}).encode()).decode()


def read(path: Path, mark: Mark, journal: Journal = JOURNAL) -> tuple[list[Row], Mark]:
    rows = []
    for batch in batches(path, journal, mark):
        rows += batch.rows
        mark = batch.mark
    return rows, mark


def test_a_missing_journal_holds_nothing(tmp_path: Path) -> None:
    assert list(batches(tmp_path / "rows.jsonl", JOURNAL, Mark())) == []


def test_a_torn_last_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    torn = line(1, loss=0.5)
    path.write_text(line(0, loss=1.0) + torn[:12])
    rows, mark = read(path, Mark())
    assert rows == [Row("loss", 1.0, 1000, 0)]
    path.write_text(line(0, loss=1.0) + torn)
    assert read(path, mark)[0] == [Row("loss", 0.5, 1000, 1)]


def test_names_carry_the_prefix(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(line(0, loss=1.0))
    rows, _ = read(tmp_path / "rows.jsonl", Mark(), Journal("rows.jsonl", "train/"))
    assert rows[0].name == "train/loss"


def test_values_that_are_not_finite_are_counted_and_not_given(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    text = line(0, loss=math.nan, fid=3.0) + line(1, loss=math.inf) + line(2, loss=None) + line(3, loss=10**400)
    path.write_text(text)
    rows, mark = read(path, Mark())
    assert rows == [Row("fid", 3.0, 1000, 0)]
    assert mark.not_finite == {"loss": 4}


def test_lines_that_are_no_rows_are_counted_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    wrong = ['{"t": 1, "st{"t": 2}', "7", '{"t": 1.5, "step": 0, "metrics": {}}', '{"t": 1, "step": 0}', "\xff"]
    wrong += ['{"t": 1, "step": 0, "metrics": {"loss": "low"}}', '{"t": 1, "step": 0, "metrics": {"a=b": 1}}']
    wrong += ['{"t": -1, "step": 0, "metrics": {}}', '{"t": 1, "step": true, "metrics": {}}']
    sealed = b"".join(checked(text.encode("latin-1")) for text in wrong)
    bare = "".join(f"{text}\n" for text in wrong).encode("latin-1")
    path.write_bytes(line(4, loss=2.0).encode() + sealed + bare + line(5, loss=1.0).encode())
    rows, mark = read(path, Mark())
    assert rows == [Row("loss", 2.0, 1000, 4), Row("loss", 1.0, 1000, 5)]
    assert (mark.unreadable, mark.spoilt, mark.lines) == (2 * len(wrong), 2, 2 * len(wrong) + 2)


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_no_flipped_byte_is_delivered_and_each_is_located(position: int, flip: int) -> None:
    content = b"".join(line(step, loss=1 / (step + 1), accuracy=step / 7).encode() for step in range(6))
    position %= len(content)
    flipped = bytearray(content)
    flipped[position] ^= flip
    number = content[:position].count(b"\n") + 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes(content)
        sound = set(read(path, Mark())[0])
        path.write_bytes(bytes(flipped))
        rows, mark = read(path, Mark())
    assert set(rows) < sound
    torn = flipped[-1:] != b"\n"
    assert mark.spoilt == number or (torn and number == 6)


def test_the_rows_a_resumed_run_repeats_are_not_given_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    first = "".join(line(step, 1000 + step, loss=float(step)) for step in range(10))
    replay = "".join(line(step, 9000 + step, loss=float(step)) for step in range(6, 15))
    path.write_text(first + replay)
    rows, _ = read(path, Mark())
    assert [(row.step, row.t) for row in rows] == [
        *((step, 1000 + step) for step in range(10)),
        *((step, 9000 + step) for step in range(10, 15)),
    ]


def test_a_journal_cut_back_to_a_checkpoint_gives_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    kept = "".join(line(step, loss=1.0) for step in range(5))
    path.write_text(kept + "".join(line(step, loss=1.0) for step in range(5, 10)))
    _, mark = read(path, Mark())
    path.write_text(kept)
    assert read(path, mark)[0] == []
    path.write_text(kept + "".join(line(step, 7000, loss=1.0) for step in range(5, 30)))
    rows, _ = read(path, mark)
    assert [row.step for row in rows] == list(range(10, 30))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=120), st.integers(1, 5))
def test_batches_lose_nothing_and_any_mark_goes_on_where_it_stood(widths: list[int], passes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(line(i, **{f"m{j}": float(i) for j in range(width)}) for i, width in enumerate(widths)))
        every = [(f"m{j}", i) for i, width in enumerate(widths) for j in range(width)]
        mark, rows = Mark(), []
        for _ in range(passes):
            for batch in batches(path, JOURNAL, mark):
                assert len(batch.rows) <= MAX_BATCH + 40
                rows += batch.rows
                mark = batch.mark
                break
        rest, mark = read(path, mark)
        assert [(row.name, row.step) for row in rows + rest] == every
        assert mark.offset == path.stat().st_size
        assert list(batches(path, JOURNAL, mark)) == []
