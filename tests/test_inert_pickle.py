"""A pickle is read as plain data by a table; what the table does not name is refused, and nothing at all happens."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticketlab.inert_pickle import Name, RefusedError, Table, read

PLAIN = Table(is_name=lambda text: False, calls={}, keys=(str, int), instructions=10_000)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


class Touch:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def of(content: bytes, table: Table = PLAIN) -> Any:
    return read(io.BytesIO(content), table)


@given(VALUES)
@example([[], (), {}, {"a": [1, None]}, (True,)])
def test_plain_data_comes_back_as_it_was(value: Any) -> None:
    assert of(pickle.dumps(value, 2)) == value


def test_an_object_that_would_act_when_unpickled_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "touched"
    content = pickle.dumps(Touch(path), 2)
    with pytest.raises(RefusedError, match="the name"):
        of(content)
    everything = Table(is_name=lambda text: True, calls={}, keys=(str,), instructions=10_000)
    with pytest.raises(RefusedError, match="is not allowed"):
        of(content, everything)
    assert not path.exists()
    pickle.loads(content)
    assert path.exists(), "the same bytes do act where they are unpickled"


def test_a_call_stands_for_what_the_table_says() -> None:
    spelled = pickle.dumps(complex(1, 2), 2)
    (name,) = [text for text in ("__builtin__ complex", "builtins complex") if text.split()[0].encode() in spelled]
    table = Table(is_name=name.__eq__, calls={name: lambda *parts: ("call", parts)}, keys=(), instructions=99)
    with pytest.raises(RefusedError, match="BINFLOAT"):
        of(spelled, table)
    given_floats = Table(**{**vars(table), "literals": {"BINFLOAT": float}})
    assert of(spelled, given_floats) == ("call", (1.0, 2.0))


def test_a_name_alone_is_only_its_spelling() -> None:
    table = Table(is_name=lambda text: text == "os system", calls={}, keys=(), instructions=99)
    assert of(b"\x80\x02cos\nsystem\n.", table) == Name("os system")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pickle.dumps([0] * 20_000, 2), "more than 10000 instructions"),
        (pickle.dumps({b"a": 1}, 2), "the name"),
        (pickle.dumps({(1, 2): 1}, 2), "text or integer keys"),
        (pickle.dumps([1, 2], 2)[:-1], "in the pickle"),
        (pickle.dumps([1], 4), "not allowed"),
        (b"\x80\x02(K\x01.", "does not end in one value"),
        (b"\x80\x02K\x01(\x85.", "below a mark"),
        (b"\x80\x02]}b.", "a state is not allowed"),
        (b"\x80\x02)Q.", "outside the pickle"),
        (b"\x80\x02h\x00.", "KeyError in the pickle"),
        (b"", "in the pickle"),
    ],
)
def test_what_is_not_plain_data_is_refused_with_a_reason(content: bytes, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        of(content)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_noise_is_refused_or_plain(noise: bytes) -> None:
    try:
        found = of(b"\x80\x02" + noise)
    except RefusedError:
        return
    assert type(found) in (type(None), bool, int, str, list, dict, tuple)
