"""Of two files that differ, the first tensor, array or field that does is named, and no file is trusted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ticketlab.run.located import first_difference, first_field

ARRAYS = {"a.weight": np.arange(6.0).reshape(2, 3), "b.weight": np.ones(4)}


def two(folder: Path, name: str) -> tuple[Path, Path]:
    (folder / "then").mkdir()
    (folder / "now").mkdir()
    return folder / "then" / name, folder / "now" / name


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"b.weight": np.array([1, 1, 1, np.nextafter(1, 2)])}, "tensor b.weight"),
        ({"a.weight": ARRAYS["a.weight"] + 1, "b.weight": np.zeros(4)}, "tensor a.weight"),
        ({"a.weight": ARRAYS["a.weight"].reshape(3, 2)}, "tensor a.weight"),
        ({"c.weight": np.ones(1)}, "tensor c.weight is only now"),
    ],
)
def test_the_first_tensor_is_named(tmp_path: Path, other: dict[str, np.ndarray], said: str) -> None:
    then, now = two(tmp_path, "weights.safetensors")
    save_file(ARRAYS, then)
    save_file(ARRAYS | other, now)
    assert first_difference(then, now) == said


def test_tensors_that_are_the_same_leave_the_header(tmp_path: Path) -> None:
    then, now = two(tmp_path, "weights.safetensors")
    save_file(ARRAYS, then, metadata={"step": "1"})
    save_file(ARRAYS, now, metadata={"step": "2"})
    assert first_difference(then, now) == "the header"


def test_the_first_array_is_named_and_so_is_one_that_was_harmed(tmp_path: Path) -> None:
    then, now = two(tmp_path, "statistics.npz")
    np.savez(then, mean=np.ones(3), cov=np.eye(3))
    np.savez(now, mean=np.ones(3), cov=2 * np.eye(3))
    assert first_difference(then, now) == "array cov"
    content = bytearray(then.read_bytes())
    content[content.index(np.eye(3).tobytes())] ^= 1
    now.write_bytes(content)
    assert first_difference(then, now) == "array cov"


def test_whatever_bit_of_an_archive_was_harmed_it_is_looked_at_and_nothing_is_raised(tmp_path: Path) -> None:
    then, now = two(tmp_path, "statistics.npz")
    np.savez(then, mean=np.ones(3))
    whole = then.read_bytes()
    array = range(whole.index(b"\x93NUMPY"), whole.index(b"PK\x01\x02"))
    found = []
    for bit in range(8 * len(whole)):
        if bit // 8 in array and bit % 8:
            continue  # one bit of each byte of the array itself will do
        harmed = bytearray(whole)
        harmed[bit // 8] ^= 1 << bit % 8
        now.write_bytes(harmed)
        found.append(first_difference(then, now))
    assert set(found) >= {"", "array mean"}


def test_the_first_field_is_named_with_both_values(tmp_path: Path) -> None:
    then, now = two(tmp_path, "metrics.json")
    then.write_text(json.dumps({"loss": float("nan"), "by": {"class": [1, 2]}, "accuracy": 0.5}))
    now.write_text(json.dumps({"loss": float("nan"), "by": {"class": [1, 3]}, "accuracy": 0.25}))
    assert first_difference(then, now) == "by.class [1, 2] then, [1, 3] now"
    assert first_field({"accuracy": 0.5}, {}) == "accuracy 0.5 then, None now"
    assert first_field({"loss": float("nan")}, {"loss": float("nan")}) == ""


@pytest.mark.parametrize("name", ["weights.safetensors", "statistics.npz", "metrics.json", "samples.png"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x02" + bytes(7) + b"[]", b'"words"', b"[" * 200_000])
def test_what_cannot_be_read_is_not_guessed(tmp_path: Path, name: str, content: bytes) -> None:
    then, now = two(tmp_path, name)
    then.write_bytes(content)
    now.write_bytes(content + b"?")
    assert first_difference(then, now) == ""


def test_a_tensor_outside_its_file_is_not_read(tmp_path: Path) -> None:
    then, now = two(tmp_path, "weights.safetensors")
    for path, end in ((then, 2**40), (now, 2**41)):
        header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, end]}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + b"four")
    assert first_difference(then, now) == ""
