"""A checkpoint is read as it was written or not at all."""

from __future__ import annotations

import io
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ticketlab.errors import CorruptFile
from ticketlab.tensors import content_digest
from ticketlab.training.checkpoint import all_finite, encode, read, write

TENSORS = {
    "network.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4) / 7,
    "network.steps": torch.tensor(9),
    "half": torch.tensor([1.5, -2.5], dtype=torch.bfloat16),
    "empty": torch.zeros(0, 3),
    "bits": torch.tensor([True, False]),
}
ABOUT: dict[str, object] = {"step": 3, "rule": "first"}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    def make(content: bytes) -> Path:
        path = tmp_path / "x.safetensors"
        path.write_bytes(content)
        return path

    return make


def test_what_was_written_is_read_bit_for_bit(tmp_path: Path) -> None:
    write(tmp_path / "x", TENSORS, ABOUT)
    tensors, about = read(tmp_path / "x")
    assert about == ABOUT
    assert tensors.keys() == TENSORS.keys()
    for name, value in tensors.items():
        assert value.dtype == TENSORS[name].dtype
        assert torch.equal(value, TENSORS[name])


def test_equal_values_give_equal_bytes_whatever_their_order_layout_and_name_of_the_file(tmp_path: Path) -> None:
    image = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    other = image.to(memory_format=torch.channels_last)
    assert encode({"a": image, "b": TENSORS["half"]}, {"x": 1, "y": 2}) == encode(
        {"b": TENSORS["half"], "a": other}, {"y": 2, "x": 1}
    )
    assert content_digest({"a": image}) == content_digest({"a": other})
    assert write(tmp_path / "one", TENSORS, ABOUT) == write(tmp_path / "two", TENSORS, ABOUT)


def test_the_digest_tells_names_types_shapes_and_values_apart() -> None:
    zeros = torch.zeros(4)
    different: list[dict[str, Tensor]] = [
        {"a": zeros},
        {"b": zeros},
        {"a": zeros.int()},
        {"a": zeros.reshape(2, 2)},
        {"a": -zeros},
        {"a": zeros, "b": zeros},
        {"a": torch.zeros(8)},
        {},
    ]
    assert len({content_digest(tensors) for tensors in different}) == len(different)


def test_every_cut_is_noticed(written: Callable[[bytes], Path]) -> None:
    content = encode(TENSORS, ABOUT)
    for length in range(len(content)):
        with pytest.raises(CorruptFile):
            read(written(content[:length]))
    with pytest.raises(CorruptFile):
        read(written(content + b"\0"))


def test_every_flipped_bit_is_noticed(written: Callable[[bytes], Path]) -> None:
    """The step in the header as much as a weight; a flip that changes no meaning (of JSON spelling) may pass."""
    content = encode(TENSORS, ABOUT)
    passed = []
    for position in range(len(content)):
        for bit in (0, 3, 6):
            broken = bytearray(content)
            broken[position] ^= 1 << bit
            try:
                tensors, about = read(written(bytes(broken)))
            except CorruptFile:
                continue
            passed.append((position, bit))
            assert about == ABOUT
            assert content_digest(tensors) == content_digest(TENSORS)
    assert len(passed) <= 8


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        with pytest.raises(CorruptFile):
            read(path)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a file was unpickled",))


def test_a_pickle_is_refused_and_not_run(written: Callable[[bytes], Path]) -> None:
    buffer = io.BytesIO()
    torch.save({"state": [1, 2]}, buffer)
    for content in (pickle.dumps(Trap()), buffer.getvalue()):
        with pytest.raises(CorruptFile):
            read(written(content))


def test_a_tensor_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    for metadata in (
        None,
        {"ticketlab": "[]"},
        {"ticketlab": "{}"},
        {"ticketlab": "nonsense"},
        {"other": "{}"},
        {"ticketlab": "[" * 100_000},
    ):
        save_file({"a": torch.zeros(2)}, tmp_path / "x", metadata=metadata)
        with pytest.raises(CorruptFile):
            read(tmp_path / "x")


@pytest.mark.parametrize("place", ["absent", "."])
def test_a_missing_file_and_a_folder_are_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(CorruptFile) as caught:
        read(tmp_path / place)
    assert str(tmp_path) in caught.value.where
    assert caught.value.mend


def test_finiteness_is_asked_of_floating_point_tensors_only() -> None:
    assert all_finite(TENSORS)
    assert all_finite({"count": torch.tensor(2**62)})
    for bad in (float("nan"), float("inf"), -float("inf")):
        assert not all_finite({**TENSORS, "one": torch.tensor([0.0, bad])})
