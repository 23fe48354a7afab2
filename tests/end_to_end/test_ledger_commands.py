"""The ledger of a finished project answers: is it sound, what is in it, how do two runs differ, give it to others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ticketlab.cli.main import app
from ticketlab.errors import LedgerError


@pytest.fixture
def ask(finished: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What `ticketlab ledger ...` prints in the finished project."""
    monkeypatch.chdir(finished.root)

    def asked(*arguments: str) -> str:
        return str(CliRunner().invoke(app, ["ledger", *arguments], catch_exceptions=False).stdout)

    return asked


def test_a_sound_chain_is_said_to_be_sound(ask: Callable[..., str]) -> None:
    assert ask("check").startswith("6 entries, each naming the one before it; head ")


def test_every_run_is_listed_with_density_and_its_main_metric(ask: Callable[..., str]) -> None:
    lines = ask("list").splitlines()
    assert len(lines) == 6
    assert "tiny/ticket" in lines[0]
    assert "25.00%" in lines[0]
    assert "accuracy 0." in lines[0]
    rows = [json.loads(line) for line in ask("list", "--json").splitlines()]
    assert [row["index"] for row in rows] == list(range(6))


def test_an_entry_is_shown_by_index_run_and_digest(ask: Callable[..., str]) -> None:
    row = json.loads(ask("list", "--json").splitlines()[1])
    shown = {ask("show", name) for name in ("1", row["run"], row["digest"])}
    assert len(shown) == 1
    assert json.loads(shown.pop())["predicateType"] == "https://slsa.dev/provenance/v1"


def test_two_arms_differ_in_what_they_are_and_what_they_found(ask: Callable[..., str]) -> None:
    found = json.loads(ask("diff", "0", "1", "--json"))
    assert {"result"} <= {one["kind"] for one in found}
    assert "code" not in {one["kind"] for one in found}
    assert ask("diff", "2", "2") == "the same in every field\n"


def test_entries_leave_in_both_formats(ask: Callable[..., str], tmp_path: Path) -> None:
    ask("export", str(tmp_path / "all.intoto.jsonl"))
    statements = [json.loads(line) for line in (tmp_path / "all.intoto.jsonl").read_bytes().splitlines()]
    assert len(statements) == 6
    ask("export", str(tmp_path / "crate"), "--format", "ro-crate", "--entry", "0")
    assert "@graph" in json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_bytes())


def test_a_flipped_byte_is_located(copied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = copied.root / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    spoilt = bytearray(lines[3])
    spoilt[200] ^= 1
    ledger.write_bytes(b"".join([*lines[:3], bytes(spoilt), *lines[4:]]))
    monkeypatch.chdir(copied.root)
    with pytest.raises(LedgerError) as caught:
        CliRunner().invoke(app, ["ledger", "check"], catch_exceptions=False)
    assert caught.value.where == "ledger.jsonl, line 4"
