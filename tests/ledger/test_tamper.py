from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterator
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.files import canonical_json
from ticketlab.ledger.check import LATER, ChainReport, Fault, Head, examine
from ticketlab.ledger.entry import GENESIS, Line, read_lines, write_line

COUNT = 6
ORDER = st.permutations(range(COUNT)).map(lambda order: sorted(order[:2]))
PLACE = st.integers(0, COUNT - 1)


def sealed(statements: list[dict[str, object]], previous: str = GENESIS, start: int = 0) -> list[bytes]:
    lines = []
    for index, statement in enumerate(statements, start):
        lines.append(write_line(index, previous, statement))
        previous = sha256(lines[-1]).hexdigest()
    return lines


LINES = sealed([{"number": number, "note": "a\u00fc\n" * number} for number in range(COUNT)])
HEAD = Head(COUNT, sha256(LINES[-1]).hexdigest())


def fault_of(lines: list[bytes], remembered: Head | None) -> Fault:
    report = examine([Line(number, line, True) for number, line in enumerate(lines, 1)], remembered)
    assert report.fault is not None
    return report.fault


def test_the_untouched_chain_is_sound_with_and_without_its_head() -> None:
    for remembered in (None, HEAD):
        report = examine([Line(number, line, True) for number, line in enumerate(LINES, 1)], remembered)
        assert report == ChainReport(HEAD)


@pytest.mark.parametrize("remembered", [None, HEAD])
@settings(max_examples=120, deadline=None)
@given(place=PLACE, offset=st.integers(0, 10_000), value=st.integers(0, 255))
def test_any_changed_byte_of_any_line_is_located(
    remembered: Head | None, place: int, offset: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line = LINES[place] + b"\n"
    offset %= len(line)
    if line[offset] == value:
        value ^= 1
    altered = line[:offset] + bytes([value]) + line[offset + 1 :]
    whole = b"".join(altered if number == place else one + b"\n" for number, one in enumerate(LINES))
    path = tmp_path_factory.getbasetemp() / "flipped.jsonl"
    path.write_bytes(whole)
    report = examine(read_lines(path), remembered)
    assert report.fault is not None
    assert report.fault.line == place + 1
    assert report.head.entries == place


@given(place=PLACE, bit=st.integers(0, 7))
@settings(max_examples=30, deadline=None)
def test_every_byte_of_a_line_matters(place: int, bit: int) -> None:
    for offset in range(0, len(LINES[place]), 7):
        flipped = bytearray(LINES[place])
        flipped[offset] ^= 1 << bit
        if bytes(flipped).count(b"\n"):
            continue
        fault = fault_of([*LINES[:place], bytes(flipped), *LINES[place + 1 :]], None)
        assert (fault.line, fault.wrong) == (place + 1, "altered")


@given(place=PLACE)
def test_a_removed_line_is_located(place: int) -> None:
    fault = fault_of([*LINES[:place], *LINES[place + 1 :]], HEAD)
    assert (fault.line, fault.wrong) == (place + 1, "removed")


@given(pair=ORDER)
def test_swapped_lines_are_located(pair: list[int]) -> None:
    first, second = pair
    lines = list(LINES)
    lines[first], lines[second] = lines[second], lines[first]
    fault = fault_of(lines, None)
    assert (fault.line, fault.wrong) == (first + 1, "moved")


@given(source=PLACE, target=PLACE)
def test_a_moved_line_is_located(source: int, target: int) -> None:
    lines = list(LINES)
    lines.insert(target, lines.pop(source))
    if source == target:
        assert lines == LINES
        return
    fault = fault_of(lines, HEAD)
    assert (fault.line, fault.wrong) == (min(source, target) + 1, "moved")


@given(source=PLACE, target=st.integers(0, COUNT))
def test_a_duplicated_line_is_located(source: int, target: int) -> None:
    fault = fault_of([*LINES[:target], LINES[source], *LINES[target:]], HEAD)
    copy = target if target != source else source + 1
    assert (fault.line, fault.wrong) == (copy + 1, "duplicated")


@given(place=st.integers(0, COUNT - 1), garbage=st.binary(max_size=30).filter(lambda raw: b"\n" not in raw))
def test_an_inserted_line_of_anything_is_located(place: int, garbage: bytes) -> None:
    fault = fault_of([*LINES[:place], garbage, *LINES[place:]], HEAD)
    assert (fault.line, fault.wrong) == (place + 1, "inserted")


@given(place=st.integers(1, COUNT - 1))
def test_an_inserted_entry_that_fits_its_place_is_located(place: int) -> None:
    forged = sealed([{"forged": True}], sha256(LINES[place - 1]).hexdigest(), place)[0]
    fault = fault_of([*LINES[:place], forged, *LINES[place:]], None)
    assert fault.wrong == "inserted"
    assert fault.line == (place + 1 if place < COUNT - 1 else COUNT + 1)


@given(place=PLACE, index=st.integers(0, COUNT + 2))
def test_an_inserted_entry_that_fits_nowhere_is_located(place: int, index: int) -> None:
    forged = write_line(index, sha256(b"nothing").hexdigest(), {"forged": True})
    fault = fault_of([*LINES[:place], forged, *LINES[place:]], HEAD)
    assert fault.line == place + 1
    assert fault.wrong == ("moved" if index > place else "inserted")


@given(place=PLACE)
def test_a_rewritten_and_resealed_entry_is_located(place: int) -> None:
    before = sha256(LINES[place - 1]).hexdigest() if place else GENESIS
    forged = sealed([{"forged": True}], before, place)[0]
    fault = fault_of([*LINES[:place], forged, *LINES[place + 1 :]], HEAD)
    assert (fault.line, fault.wrong) == (place + 1, "altered")


@given(place=PLACE)
def test_a_resealed_entry_that_names_no_line_is_located(place: int) -> None:
    forged = write_line(place, sha256(b"nothing").hexdigest(), {"forged": True})
    lines = [*LINES[:place], forged, *LINES[place + 1 :]]
    fault = fault_of(lines, HEAD)
    assert (fault.line, fault.wrong) == (place + 1, "altered")
    fault = fault_of(lines, None)
    assert fault.wrong == "altered"
    assert fault.line == min(place + 1, COUNT - 1), "without a head either of the last two may be the forged one"


@pytest.mark.parametrize("respell", [json.dumps, lambda value: json.dumps(value, indent=1).replace("\n", " ")])
def test_another_spelling_of_the_same_entry_is_an_alteration(respell: object) -> None:
    assert callable(respell)
    line = respell(json.loads(LINES[2])).encode()
    fault = fault_of([*LINES[:2], line, *LINES[3:]], HEAD)
    assert (fault.line, fault.wrong) == (3, "altered")


@pytest.mark.parametrize(
    "parsed",
    [
        {"index": True, "previous": GENESIS, "statement": {}},
        {"index": 0.0, "previous": GENESIS, "statement": {}},
        {"index": 0, "previous": GENESIS, "statement": []},
        {"index": 0, "previous": 0, "statement": {}},
        {"index": 0, "previous": GENESIS, "statement": {}, "more": 1},
    ],
)
def test_a_sealed_line_of_the_wrong_shape_is_no_entry(parsed: dict[str, object]) -> None:
    seal = sha256(canonical_json(parsed)).hexdigest()
    fault = fault_of([canonical_json({**parsed, "seal": seal})], None)
    assert (fault.line, fault.wrong) == (1, "altered")


@pytest.mark.parametrize("where", ["statement", "previous"])
def test_memory_does_not_grow_with_the_length_of_the_lines_after_a_fault(where: str) -> None:
    count, length = 24, 2**19

    def hostile() -> Iterator[Line]:
        yield Line(1, b"broken", True)
        for number in range(2, count + 2):
            long = {"number": number, "weight": "x" * length}
            line = write_line(number, GENESIS, long) if where == "statement" else write_line(number, "x" * length, {})
            yield Line(number, line, True)

    tracemalloc.start()
    try:
        report = examine(hostile(), None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.fault is not None
    assert (report.fault.line, report.fault.wrong) == (1, "altered")
    assert peak < count * length / 2


def test_past_a_fault_no_more_is_read_than_tells_its_kind() -> None:
    lines = sealed([{"n": 0}, {"n": 1}])
    given = itertools.count(3)
    endless = (Line(number, b"", True) for number in given)
    report = examine(itertools.chain((Line(1, lines[0], True), Line(2, lines[1], True)), endless), None)
    assert report.head.entries == 2
    assert report.fault is not None
    assert (report.fault.line, report.fault.wrong) == (3, "altered")
    assert next(given) <= 3 + LATER + 1


def test_every_shuffle_of_a_short_chain_is_noticed_at_its_first_wrong_line() -> None:
    short = LINES[:4]
    for order in itertools.permutations(range(4)):
        lines = [short[place] for place in order]
        if lines == short:
            continue
        first = next(place for place, number in enumerate(order) if place != number)
        assert fault_of(lines, None) == Fault(
            first + 1,
            "moved",
            f"entry {order[first]} stands before entry {first}, which is at line {order.index(first) + 1}",
        )
