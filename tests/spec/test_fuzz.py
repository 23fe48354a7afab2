import copy
import gc
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ticketlab.errors import SpecError
from ticketlab.spec.catalog import facts
from ticketlab.spec.explain import Problems
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.language import every_path
from ticketlab.spec.loading import LoadedSpec, as_written, load
from ticketlab.spec.resolve import resolve
from ticketlab.spec.schema import json_schema
from ticketlab.spec.spec import Spec
from ticketlab.spec.yaml_positions import read_page

BOUND = 1.0
"""Seconds of processor time for any one file."""

ADVICE = r"^give exactly one of|^give at most one|is smaller than `m`$|must not be above the second$"
"""Sentences of a section about itself, which say what to do."""

WORDS = [*sorted({step for path in every_path() for step in path.split(".")}), "magnitude", "hinge", "sngan", "none"]
SIGNS = [
    ": ",
    ":\n  ",
    "\n",
    "\n  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&a ",
    "*a",
    "!!int ",
    "'",
    '"',
    "#",
    "|\n",
    "<<: ",
]
VALUES = [
    "0",
    "1",
    "-1",
    "0.1",
    "1e3",
    "1e999",
    ".nan",
    "null",
    "true",
    "9" * 30,
    "\t",
    "\0",
    "é",
    "---\n",
    "%YAML 1.1\n",
]

fuzzed = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
)
values = st.recursive(
    scalars | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def outcome(
    folder: Path, content: bytes, *overrides: str, resolve: Callable[[Spec], Spec] = as_written
) -> LoadedSpec | None:
    """The spec if it is accepted; None if it is refused as it should be: fast, on one screen, saying where and what then.

    AssertionError for a refusal that is none of these, and any other error as it is.
    """
    file = folder / "x.yaml"
    file.unlink(missing_ok=True)  # a file that is written over goes to the disk each time
    file.write_bytes(content)
    started = time.process_time()
    try:
        return load(file, overrides, resolve=resolve)
    except SpecError as refused:
        for problem in refused.problems if isinstance(refused, Problems) else (refused,):
            advice = problem.mend or getattr(problem, "allowed", "")
            assert advice or re.search(ADVICE, problem.what), problem
        lines = str(refused).replace(f"{folder}/", "").splitlines()
        start = lines[1] if re.fullmatch(r"x\.yaml: \d+ problems", lines[0]) else lines[0]
        assert re.match(r"x\.yaml:[1-9]\d*:[1-9]\d*: |--set ", start), start
        assert len(lines) < 30
        assert all(line.isprintable() for line in lines)
        return None
    finally:
        assert time.process_time() - started < BOUND


def is_whole(found: LoadedSpec | None) -> bool:
    """Whether what was accepted, if anything was, is a spec that has cells and says the same when it is read back."""
    if found is None:
        return True
    specs = [cell.spec for cell in found.cells]
    return bool(specs) and all(Spec.model_validate_json(json.dumps(one.asks()), strict=True) == one for one in specs)


@fuzzed
@given(st.binary(max_size=200))
def test_random_bytes_are_accepted_or_refused_with_a_position(tmp_path: Path, content: bytes) -> None:
    assert is_whole(outcome(tmp_path, content))


@fuzzed
@given(st.lists(st.sampled_from(WORDS + SIGNS + VALUES), max_size=40).map("".join))
def test_random_yaml_is_accepted_or_refused_with_a_position(tmp_path: Path, text: str) -> None:
    assert is_whole(outcome(tmp_path, text.encode()))


@st.composite
def with_a_piece_replaced(draw: st.DrawFn, text: str) -> bytes:
    """A page of which up to 20 characters are something else."""
    start, end = sorted(draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2)))
    piece = draw(st.sampled_from(WORDS + SIGNS + VALUES) | st.text(max_size=5))
    return (text[:start] + piece + text[min(end, start + 20) :]).encode("utf-8", "replace")


@fuzzed
@given(data=st.data())
def test_a_page_with_a_piece_replaced_is_accepted_or_refused_with_a_position(
    page: str, tmp_path: Path, data: st.DataObject
) -> None:
    assert is_whole(outcome(tmp_path, data.draw(with_a_piece_replaced(page + "matrix: {seed: [0, 1]}\n"))))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container inside a value, with each of its keys or indices."""
    for step in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, step
        yield from places(value[step])


@st.composite
def with_a_value_changed(draw: st.DrawFn, text: str) -> bytes:
    """A page, as JSON, of which one value is another and one key may be."""
    raw = copy.deepcopy(read_page(text.encode(), "x").data)
    container, step = draw(st.sampled_from(list(places(raw))))
    container[step] = draw(values)
    if isinstance(container, dict):
        container[draw(st.sampled_from([step, *WORDS]))] = draw(values)
    return json.dumps(raw, ensure_ascii=False).encode("utf-8", "replace")


def near_misses(value: Any) -> list[Any]:
    """What somebody may write who means a number, a word, true, false or null."""
    text = value if isinstance(value, str) else json.dumps(value)
    spellings = [text, text[:-1], text + text[-1:], f"{text[:1]}_{text[1:]}", f"{text} ", text.upper()]
    numbers = [-value, float(value), value + 1] if isinstance(value, (int, float)) else []
    return [*spellings, *numbers, [value], {"kind": value}, None, True]


@st.composite
def with_a_value_misspelt(draw: st.DrawFn, text: str) -> bytes:
    """A page, as JSON, of which one value is nearly itself."""
    raw = copy.deepcopy(read_page(text.encode(), "x").data)
    leaves = [(around, step) for around, step in places(raw) if not isinstance(around[step], (dict, list))]
    container, step = draw(st.sampled_from(leaves))
    container[step] = draw(st.sampled_from(near_misses(container[step])))
    return json.dumps(raw, ensure_ascii=False).encode()


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


@fuzzed
@given(data=st.data())
def test_a_changed_value_is_accepted_or_refused_and_the_schema_accepts_what_is_accepted(
    page: str, tmp_path: Path, validator: Draft202012Validator, data: st.DataObject
) -> None:
    loaded = outcome(tmp_path, data.draw(with_a_value_changed(page)))
    assert loaded is None or list(validator.iter_errors(loaded.data)) == []


@fuzzed
@given(st.sampled_from(every_path()) | st.text(max_size=10), st.text(max_size=10) | scalars.map(str))
def test_any_override_is_accepted_or_refused_with_a_position(page: str, tmp_path: Path, path: str, value: str) -> None:
    assert is_whole(outcome(tmp_path, page.encode(), f"{path}={value}"))


@fuzzed
@given(st.dictionaries(st.sampled_from(every_path()), st.lists(values, min_size=1, max_size=3), min_size=1, max_size=3))
def test_any_matrix_is_accepted_or_refused_with_a_position(page: str, tmp_path: Path, matrix: dict[str, Any]) -> None:
    text = page + f"matrix: {json.dumps(matrix, ensure_ascii=False)}\n"
    assert is_whole(outcome(tmp_path, text.encode("utf-8", "replace")))


PUBLISHED = [file.read_text() for file in sorted(Path(__file__).parents[2].glob("specs/**/*.yaml"))]


def resolved(spec: Spec) -> Spec:
    """As it would be in a project without datasets of its own."""
    try:
        dataset = facts(spec.data.dataset, Path())
    except SpecError as unknown:
        raise Impossible(("data", "dataset"), unknown.what, unknown.mend) from None
    return resolve(spec, dataset)


generated = (
    st.binary(max_size=200)
    | st.lists(st.sampled_from(WORDS + SIGNS + VALUES), max_size=40).map(lambda parts: "".join(parts).encode())
    | st.sampled_from(PUBLISHED).flatmap(with_a_piece_replaced)
    | st.sampled_from(PUBLISHED).flatmap(with_a_value_changed)
    | st.sampled_from(PUBLISHED).flatmap(with_a_value_misspelt)
)


@fuzzed
@given(content=st.sampled_from(PUBLISHED).flatmap(with_a_value_misspelt))
def test_a_published_page_with_a_value_misspelt_is_accepted_or_refused_with_a_position(
    tmp_path: Path, content: bytes
) -> None:
    assert is_whole(outcome(tmp_path, content, resolve=resolved))


@pytest.mark.long
def test_twenty_thousand_specs_are_each_accepted_or_refused_within_a_second(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    slowest = 0.0

    @settings(fuzzed, max_examples=20_000)
    @given(generated)
    def one(content: bytes) -> None:
        nonlocal slowest
        if seen.total() % 200 == 0:  # to look through all that is kept takes the collector a second in itself
            gc.collect()
            gc.freeze()
        started = time.process_time()
        loaded = outcome(tmp_path, content, resolve=resolved)
        slowest = max(slowest, time.process_time() - started)
        seen["refused" if loaded is None else "accepted"] += 1
        assert is_whole(loaded)

    try:
        one()
    finally:
        gc.unfreeze()
    print(f"{dict(seen)}, slowest {slowest:.3f} s")
    assert seen.total() >= 20_000
    assert min(seen.values()) >= 1_000
