from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from ticketlab.errors import EnvironmentProblem, LedgerError
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.entry import GENESIS, LONGEST_LINE, write_line

APPEND = """
import sys
from pathlib import Path
from ticketlab.ledger.chain import Chain
for number in range(int(sys.argv[3])):
    Chain(Path(sys.argv[1])).append({"writer": sys.argv[2], "number": number, "weight": "x" * 20_000})
"""

APPEND_AT_ONCE = """
import sys
from multiprocessing import get_context
from pathlib import Path
from ticketlab.ledger.chain import Chain
fork, count = get_context("fork"), int(sys.argv[2])
start = fork.Barrier(count)
def append(number):
    start.wait()
    Chain(Path(sys.argv[1])).append({"writer": number, "weight": "x" * 20_000})
writers = [fork.Process(target=append, args=(number,)) for number in range(count)]
for one in writers: one.start()
for one in writers: one.join()
sys.exit(any(one.exitcode for one in writers))
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", APPEND, str(path), name, str(count)], stderr=subprocess.PIPE)


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    chain = Chain(tmp_path / "ledger.jsonl")
    for number in range(3):
        chain.append({"number": number})
    return chain


def without_head(chain: Chain) -> None:
    (chain.path.parent / ".ticketlab" / "ledger.jsonl.head").unlink()


def test_each_entry_names_the_sha256_of_the_line_before(chain: Chain) -> None:
    lines = chain.path.read_bytes().splitlines()
    digests = [sha256(line).hexdigest() for line in lines]
    entries = list(chain.entries())
    assert [entry.index for entry in entries] == [0, 1, 2]
    assert [entry.previous for entry in entries] == [GENESIS, *digests[:2]]
    assert [entry.digest for entry in entries] == digests
    assert [entry.statement for entry in entries] == [{"number": 0}, {"number": 1}, {"number": 2}]
    report = chain.check()
    assert report.sound
    assert (report.head.entries, report.head.digest) == (3, digests[-1])


def test_a_ledger_that_is_not_there_is_an_empty_chain(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "ledger.jsonl")
    assert list(chain.entries()) == []
    assert chain.check().sound
    assert (chain.check().head.entries, chain.check().head.digest) == (0, GENESIS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_the_place_of_a_ledger_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    chain = Chain(tmp_path / "ledger.jsonl")
    make(chain.path)
    for asked in (lambda: list(chain.entries()), chain.check, lambda: chain.append({})):
        with pytest.raises(LedgerError, match="no file") as caught:
            asked()
        assert caught.value.where == str(chain.path)


def test_ends_of_lines_that_were_turned_are_named(chain: Chain) -> None:
    chain.path.write_bytes(chain.path.read_bytes().replace(b"\n", b"\r\n"))
    fault = chain.check().fault
    assert fault
    assert (fault.line, fault.wrong) == (1, "altered")
    assert "carriage return" in fault.what
    with pytest.raises(LedgerError, match="carriage return"):
        chain.append({})


def test_32_processes_that_start_at_once_append_one_chain_of_32(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "empty project" / "ledger.jsonl")
    chain.path.parent.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", APPEND_AT_ONCE, str(chain.path), "32"], capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert chain.check().sound
    assert sorted(entry.statement["writer"] for entry in chain.entries()) == list(range(32))


def test_killed_writers_leave_a_chain_that_goes_on_without_a_lost_entry(tmp_path: Path) -> None:
    chain, chance = Chain(tmp_path / "ledger.jsonl"), random.Random(7)
    before = 0
    for name in range(5):
        process = writer(chain.path, str(name), 100_000)
        limit = time.monotonic() + 20
        while (not chain.path.exists() or chain.path.stat().st_size <= before) and time.monotonic() < limit:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        chain.append({"writer": "survivor"})
        report = chain.check()
        assert report.sound, report
        before = chain.path.stat().st_size
    numbers = {str(name): [] for name in range(5)}
    for entry in chain.entries():
        if entry.statement["writer"] != "survivor":
            numbers[entry.statement["writer"]].append(entry.statement["number"])
    assert all(found == list(range(len(found))) for found in numbers.values())


@pytest.mark.parametrize("has_head", [True, False])
def test_a_torn_last_line_is_reported_then_set_aside_by_the_next_append(chain: Chain, has_head: bool) -> None:
    if not has_head:
        without_head(chain)
    whole = chain.path.read_bytes()
    fragment = b'{"index":3,"previous":"' + b"\0" * 30
    chain.path.write_bytes(whole + fragment)
    fault = chain.check().fault
    assert fault is not None
    assert (fault.line, fault.wrong) == (4, "torn")
    assert len(list(chain.entries())) == 3
    assert chain.append({"number": 3}).index == 3
    assert chain.path.read_bytes().startswith(whole)
    assert chain.check().sound
    assert (chain.path.parent / ".ticketlab" / "torn" / sha256(fragment).hexdigest()).read_bytes() == fragment


def test_every_torn_prefix_of_an_entry_is_mended(chain: Chain) -> None:
    whole = chain.path.read_bytes()
    entry = chain.append({"number": 3})
    line = chain.path.read_bytes()[len(whole) :]
    for length in (*range(1, len(line) - 1, 9), len(line) - 2, len(line) - 1):
        chain.path.write_bytes(whole + line[:length])
        (chain.path.parent / ".ticketlab" / "ledger.jsonl.head").write_bytes(
            b'{"digest":"%b","entries":3}' % entry.previous.encode()
        )
        lacks_only_newline = length == len(line) - 1
        assert chain.append({"number": 9}).index == (4 if lacks_only_newline else 3)
        assert chain.check().sound
        assert [one.statement["number"] for one in chain.entries()] == [
            0,
            1,
            2,
            *([3] if lacks_only_newline else []),
            9,
        ]


def test_a_first_line_that_is_torn_is_mended(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "ledger.jsonl")
    chain.path.write_bytes(b'{"index":0,"prev')
    assert chain.append({"number": 0}).index == 0
    assert chain.check().sound


def test_an_entry_written_before_a_crash_noted_the_head_is_kept(chain: Chain) -> None:
    head = chain.path.parent / ".ticketlab" / "ledger.jsonl.head"
    old = head.read_bytes()
    chain.append({"number": 3})
    head.write_bytes(old)
    assert chain.check().sound
    assert chain.append({"number": 4}).index == 4
    assert chain.check().head.entries == 5


@pytest.mark.parametrize("has_head", [True, False])
def test_nothing_is_appended_to_a_last_entry_that_was_altered(chain: Chain, has_head: bool) -> None:
    if not has_head:
        without_head(chain)
    chain.path.write_bytes(chain.path.read_bytes().replace(b'"number":2', b'"number":5'))
    before = chain.path.read_bytes()
    with pytest.raises(LedgerError, match="seal"):
        chain.append({"number": 3})
    assert chain.path.read_bytes() == before


def test_a_whole_last_entry_that_lost_its_end_is_not_taken_for_a_torn_one(chain: Chain) -> None:
    chain.path.write_bytes(chain.path.read_bytes()[:-20])
    fault = chain.check().fault
    assert fault is not None
    assert (fault.line, fault.wrong) == (3, "altered")
    with pytest.raises(LedgerError, match="cut short"):
        chain.append({"number": 3})


@pytest.mark.parametrize("has_head", [True, False])
def test_a_last_entry_that_lost_its_newline_is_torn_and_mended(chain: Chain, has_head: bool) -> None:
    if not has_head:
        without_head(chain)
    chain.path.write_bytes(chain.path.read_bytes()[:-1])
    fault = chain.check().fault
    assert fault is not None
    assert (fault.line, fault.wrong) == (3, "torn")
    chain.append({"number": 3})
    assert chain.check().sound


def test_removed_entries_are_not_taken_for_a_crash_where_the_newline_went_with_them(chain: Chain) -> None:
    first = chain.path.read_bytes().splitlines()[0]
    chain.path.write_bytes(first)
    report = chain.check()
    assert report.fault is not None
    assert (report.fault.line, report.fault.wrong) == (2, "removed")
    assert report.fault.what == "the ledger ends after 1 of 3 entries"
    with pytest.raises(LedgerError, match="removed: the ledger ends after 1 of 3 entries"):
        chain.append({"number": 3})
    assert chain.path.read_bytes() == first


def test_a_rewritten_last_entry_without_its_newline_is_altered(chain: Chain) -> None:
    *before, _ = chain.path.read_bytes().splitlines(keepends=True)
    rewritten = write_line(2, sha256(before[1].rstrip()).hexdigest(), {"number": 7})
    chain.path.write_bytes(b"".join(before) + rewritten)
    fault = chain.check().fault
    assert fault is not None
    assert (fault.line, fault.wrong) == (3, "altered")


def test_an_entry_without_a_newline_that_stands_elsewhere_in_the_chain_is_not_torn(chain: Chain) -> None:
    without_head(chain)
    first, *_, last = chain.path.read_bytes().splitlines()
    chain.path.write_bytes(first + b"\n" + last)
    fault = chain.check().fault
    assert fault is not None
    assert (fault.line, fault.wrong) == (2, "removed")


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"entries": 1e999, "digest": ""}', b"\xff", b"[]", b"{}"])
def test_what_remembers_the_head_and_is_damaged_is_named(chain: Chain, content: bytes) -> None:
    head = chain.path.parent / ".ticketlab" / "ledger.jsonl.head"
    head.write_bytes(content)
    for ask in (chain.check, lambda: chain.append({"number": 3})):
        with pytest.raises(LedgerError, match="not the head of a ledger") as caught:
            ask()
        assert caught.value.where == str(head)


def test_a_last_entry_whose_newline_was_overwritten_is_not_set_aside(chain: Chain) -> None:
    without_head(chain)
    chain.path.write_bytes(chain.path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(LedgerError):
        chain.append({"number": 3})


def test_a_whole_entry_without_a_newline_that_does_not_follow_is_not_accepted(chain: Chain) -> None:
    without_head(chain)
    chain.path.write_bytes(chain.path.read_bytes() + write_line(7, GENESIS, {"forged": True}))
    before = chain.path.read_bytes()
    with pytest.raises(LedgerError):
        chain.append({"number": 3})
    assert chain.path.read_bytes() == before


def test_removed_last_entries_are_missed_on_the_machine_that_wrote_them(chain: Chain) -> None:
    chain.path.write_bytes(b"".join(chain.path.read_bytes().splitlines(keepends=True)[:1]))
    fault = chain.check().fault
    assert fault is not None
    assert (fault.line, fault.wrong) == (2, "removed")
    with pytest.raises(LedgerError, match="ends after 1 of 3") as caught:
        chain.append({"number": 1})
    assert ".head" in caught.value.mend
    without_head(chain)
    assert chain.append({"number": 1}).index == 1


def test_a_removed_ledger_is_missed(chain: Chain) -> None:
    chain.path.unlink()
    with pytest.raises(LedgerError, match="ends after 0 of 3"):
        chain.append({"number": 0})


def test_entries_that_came_from_elsewhere_are_gone_on_from(chain: Chain, tmp_path: Path) -> None:
    elsewhere = tmp_path / "clone"
    elsewhere.mkdir()
    clone = Chain(elsewhere / "ledger.jsonl")
    clone.path.write_bytes(chain.path.read_bytes())
    clone.append({"number": 3})
    clone.append({"number": 4})
    chain.path.write_bytes(clone.path.read_bytes())
    assert chain.check().sound
    assert chain.append({"number": 5}).index == 5


def test_a_chain_rewritten_as_a_whole_does_not_lead_to_the_remembered_head(chain: Chain, tmp_path: Path) -> None:
    other = Chain(tmp_path / "other.jsonl")
    for number in range(5):
        other.append({"number": number * 10})
    chain.path.write_bytes(other.path.read_bytes())
    fault = chain.check().fault
    assert fault is not None
    assert (fault.line, fault.wrong) == (3, "altered")
    with pytest.raises(LedgerError):
        chain.append({"number": 3})


def test_a_line_that_is_too_long_is_refused_written_and_read(chain: Chain) -> None:
    before = chain.path.read_bytes()
    with pytest.raises(LedgerError, match="longer"):
        chain.append({"weight": "x" * LONGEST_LINE})
    assert chain.path.read_bytes() == before
    without_head(chain)
    lines = before.splitlines(keepends=True)
    chain.path.write_bytes(lines[0] + b"y" * (2 * LONGEST_LINE + 5) + b"\n" + lines[1])
    fault = chain.check().fault
    assert fault is not None
    assert (fault.line, fault.wrong) == (2, "inserted")
    with pytest.raises(LedgerError, match=r"ledger\.jsonl:2"):
        list(chain.entries())


def test_entries_of_any_length_are_gone_on_from(chain: Chain) -> None:
    around = len(write_line(3, GENESIS, {"weight": ""}))
    for index, length in enumerate([65_535, 65_536, 200_000, LONGEST_LINE], start=3):
        assert chain.append({"weight": "x" * (length - around)}).index == index
        assert len(chain.path.read_bytes().splitlines()[-1]) == length
    assert chain.append({"number": 7}).index == 7
    assert chain.check().sound


def test_an_entry_is_in_the_file_whole_when_the_disk_is_asked_to_keep_it(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths, sync = [], os.fsync

    def seen(descriptor: int) -> None:
        if os.path.sameopenfile(descriptor, ledger):
            lengths.append(os.fstat(descriptor).st_size)
        sync(descriptor)

    with chain.path.open("rb") as handle:
        ledger = handle.fileno()
        monkeypatch.setattr(os, "fsync", seen)
        chain.append({"number": 3})
        assert lengths == [os.fstat(ledger).st_size]


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "ledger.jsonl")
    chain.append({"number": 0})
    before = chain.path.read_bytes()
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000));" + APPEND.strip().replace("\n", ";", 2)
    )
    ran = subprocess.run([sys.executable, "-c", limited, str(chain.path), "0", "1"], capture_output=True, check=False)
    assert ran.returncode == 1
    assert EnvironmentProblem.__name__.encode() in ran.stderr
    assert chain.path.read_bytes() == before
    assert chain.check().sound
    assert chain.append({"number": 1}).index == 1


def test_a_deeply_nested_line_is_an_error_and_not_a_crash(chain: Chain) -> None:
    without_head(chain)
    with chain.path.open("ab") as handle:
        handle.write(b'{"a":' * 200_000 + b"\n")
    fault = chain.check().fault
    assert fault is not None
    assert (fault.line, fault.wrong) == (4, "altered")


def test_a_head_that_is_not_one_is_an_error(chain: Chain) -> None:
    (chain.path.parent / ".ticketlab" / "ledger.jsonl.head").write_bytes(os.urandom(8))
    with pytest.raises(LedgerError, match="head"):
        chain.check()
    with pytest.raises(LedgerError, match="head"):
        chain.append({"number": 3})
