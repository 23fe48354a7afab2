import time

import pytest

from ticketlab.errors import SpecError
from ticketlab.spec.positions import Mark
from ticketlab.spec.yaml_positions import LARGEST_FILE, read_page, read_value
from ticketlab.spec.yaml_scalars import plain_scalar

LAUGHS = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n".encode() for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("12", 12),
        ("+12", 12),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e-4", 1e-4),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.5e+1", -5.0),
        (".", "."),
        ("-", "-"),
        ("1e", "1e"),
        ("0x", "0x"),
        ("inf", "inf"),
    ],
)
def test_unquoted_words_mean_what_the_core_schema_of_yaml_1_2_says(text: str, value: object) -> None:
    found = plain_scalar(text, plain=True)
    assert found == value
    assert type(found) is type(value)
    assert plain_scalar(text, plain=False) == text


def test_negative_zero_is_zero_so_that_equal_specs_have_one_identity() -> None:
    assert repr(plain_scalar("-0.0", plain=True)) == "0.0"


def test_keys_and_values_have_their_line_and_column() -> None:
    page = read_page(b"# a comment\na: 1\nb:\n  c: [x, {d: 2}]\n", "f.yaml")
    assert page.data == {"a": 1, "b": {"c": ["x", {"d": 2}]}}
    assert page.positions.keys == {
        ("a",): Mark(2, 1),
        ("b",): Mark(3, 1),
        ("b", "c"): Mark(4, 3),
        ("b", "c", 1, "d"): Mark(4, 11),
    }
    assert page.positions.values[("b", "c", 0)] == Mark(4, 7)
    assert page.positions.where(("b", "c", 1, "d")) == "f.yaml:4:14"
    assert page.positions.where(("b", "c", 1, "d"), key=True) == "f.yaml:4:11"


def test_what_is_absent_stands_where_the_nearest_section_around_it_starts() -> None:
    page = read_page(b"a: 1\nb:\n  c: 2\n", "f.yaml")
    assert page.positions.where(("b", "x", "y")) == "f.yaml:2:1"
    assert page.positions.where(("x",)) == "f.yaml:1:1"


def test_columns_count_characters_and_a_byte_order_mark_is_none() -> None:
    page = read_page("\ufeffé: {ü: 1, b: 2}\r\nc: 3\r\n".encode(), "f.yaml")
    assert page.positions.keys[("é", "b")] == Mark(1, 11)
    assert page.positions.keys[("c",)] == Mark(2, 1)


def test_an_alias_is_written_out_and_points_at_its_anchor() -> None:
    page = read_page(b"a: &x {q: 1}\nb: *x\n", "f.yaml")
    assert page.data == {"a": {"q": 1}, "b": {"q": 1}}
    assert page.positions.where(("b", "q")) == "f.yaml:1:11"


@pytest.mark.parametrize(
    ("content", "where", "words"),
    [
        (b"", "1:1", "empty"),
        (b"# only a comment\n", "1:1", "empty"),
        (b"- 1\n", "1:1", "not a mapping"),
        (b"just text\n", "1:1", "not a mapping"),
        (b"a: 1\na: 2\n", "2:1", "`a` again; it was given first in line 1"),
        (b"a: {b: 1, b: 2}\n", "1:11", "`b` again"),
        (b"a:\n\tb: 1\n", "2:1", "a tab"),
        (b"a:\n  \tb: 1\n", "2:3", "a tab"),
        (b"a: 1\nb: \xff\n", "2:4", "byte 0xff at offset 8"),
        (b"\xef\xbb\xbfa: \xff\n", "1:5", "byte 0xff at offset 6"),
        (b"\xff\xfea\x00", "1:1", "byte 0xff at offset 0"),
        (b"a: 1\n---\nb: 2\n", "2:1", "a second document"),
        (b"%YAML 1.1\n---\na: 1\n", "2:1", "directive"),
        (b"1: 2\n", "1:1", "a key that is not text"),
        (b"true: 2\n", "1:1", "a key that is not text"),
        (b"? [a]\n: 1\n", "1:3", "a key that is not text"),
        (b"a: !!python/object:os.system x\n", "1:4", "the tag `!!python/object:os.system`"),
        (b"a: !!binary aGk=\n", "1:4", "the tag `!!binary`"),
        (b"a: !!timestamp 2024-01-01\n", "1:4", "the tag `!!timestamp`"),
        (b"a: !own x\n", "1:4", "the tag `!own`"),
        (b"<<: {a: 1}\n", "1:1", "merge key"),
        (b"a: *x\n", "1:4", "anchor that does not exist"),
        (b"a: &a [*a]\n", "1:8", "inside its own anchor"),
        (b"a: &a {b: {c: *a}}\n", "1:15", "inside its own anchor"),
        (b"a: .nan\n", "1:4", "the number .nan"),
        (b"a: -.inf\n", "1:4", "the number -.inf"),
        (b"a: 1e999\n", "1:4", "too large"),
        (b"a: " + b"9" * 101, "1:4", "a number of 101 characters"),
        (b'a: "\\ud800"\n', "1:4", "surrogate"),
        (b'a: "\\UFFFFFFFF"\n', "1:1", "not YAML"),
        (b"a: \x00\n", "1:4", "U+0000"),
        (b"a: b: c\n", "1:5", "`: ` where no key can stand"),
        (b"a: [1, 2\n", "2:1", "whose `[` is not closed"),
        (b"a: {b: 2\nc: 1\n", "2:2", "whose `{` is not closed"),
        (b'a: "x\n', "2:1", "the end of the file inside quotes"),
        (b"a: 1\nfoo\nb: 2\n", "2:1", "a line without `: `"),
        (b"a: 1\n- 2\n", "2:1", "does not line up"),
        (b"a: @x\n", "1:4", "cannot start a value"),
        (LAUGHS, "1:5", "more than 20,000 keys and values"),
    ],
)
def test_what_no_spec_can_hold_is_refused_where_it_stands(content: bytes, where: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_page(content, "f.yaml")
    assert caught.value.where == f"f.yaml:{where}"
    assert words in caught.value.what
    assert caught.value.mend


@pytest.mark.parametrize(
    "content",
    [
        LAUGHS,
        b"a: " + b"[" * 100_000,
        b"a: " + b"{x: " * 50_000,
        b"a: " + b"- " * 100_000,
        b"? " * 100_000,
        b"a: " + b"[x, " * 50_000,
        b"a: " + b"9" * 200_000,
        b"a: 0x" + b"f" * 200_000,
        b"a: " + b"9" * 100_000 + b"e" + b"9" * 100_000,
        b"a: [" + b"1," * 100_000 + b"]",
        b"x" * (LARGEST_FILE + 1),
        b"".join(b"k%d: 1\n" % n for n in range(20_000)),
        b"".join(b" " * n + b"k:\n" for n in range(500)),
    ],
    ids=range(13),
)
def test_hostile_files_are_refused_in_bounded_time(content: bytes) -> None:
    started = time.process_time()
    with pytest.raises(SpecError):
        read_page(content, "f.yaml")
    assert time.process_time() - started < 3


def test_a_file_of_256_kibibytes_is_read_and_one_byte_more_is_not() -> None:
    page = b"a: 1\n#" + b"x" * (256 * 1024 - 6)
    assert read_page(page, "f.yaml").data == {"a": 1}
    with pytest.raises(SpecError, match="262,144 bytes"):
        read_page(page + b"x", "f.yaml")


def test_fifty_levels_are_read_and_fifty_one_are_not() -> None:
    assert read_page(b"a: " + b"[" * 50 + b"]" * 50, "f.yaml").data
    with pytest.raises(SpecError, match="more than 50 levels"):
        read_page(b"a: " + b"[" * 51 + b"]" * 51, "f.yaml")


def test_an_override_may_be_any_value_and_its_errors_name_the_override() -> None:
    assert read_value("0.1", "--set a=0.1") == 0.1
    assert read_value("[1, {b: x}]", "--set") == [1, {"b": "x"}]
    assert read_value("", "--set") is None
    for text in ("[1", "\udcff", "\ud800", "*x", "a: 1\na: 2"):
        with pytest.raises(SpecError) as caught:
            read_value(text, "--set a=?")
        assert caught.value.where == "--set a=?"
