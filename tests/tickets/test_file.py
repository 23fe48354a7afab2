"""A ticket survives its file bit for bit, has one spelling, and no damage to it goes unnoticed."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from ticketlab.errors import CorruptFile
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import read, write
from ticketlab.tickets.mask import Mask

ABOUT = TicketFacts(method="magnitude", round=3, seed=12345, initial_weights="ab" * 32)
MASK = Mask(
    {
        "generator.c2.weight": torch.rand(3, 2, 3, 3, generator=torch.Generator().manual_seed(0)) < 0.4,
        "generator.c1.weight": torch.tensor([True, False, True]),
    }
)
BUFFERS = {
    "generator.b1.running_mean": torch.tensor([0.5, -1.5]),
    "generator.b1.num_batches_tracked": torch.tensor(7),
    "generator.b1.running_var": torch.tensor([1.0, 2.0], dtype=torch.bfloat16),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "ticket.safetensors", MASK, ABOUT, BUFFERS)
    return tmp_path / "ticket.safetensors"


def same_ticket(path: Path) -> bool:
    mask, about, buffers = read(path)
    return (
        mask == MASK
        and list(mask) == list(MASK)
        and about == ABOUT
        and buffers.keys() == BUFFERS.keys()
        and all(b.dtype == BUFFERS[n].dtype and torch.equal(b, BUFFERS[n]) for n, b in buffers.items())
    )


def test_round_trip_keeps_bits_order_facts_and_buffers(path: Path) -> None:
    assert same_ticket(path)


@settings(max_examples=40)
@given(
    layers=st.lists(st.lists(st.booleans(), min_size=1, max_size=20), min_size=1, max_size=4),
    about=st.builds(
        TicketFacts,
        method=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()),
        round=st.integers(0, 10**6),
        seed=st.integers(0, 2**63 - 1),
        initial_weights=st.text("0123456789abcdef", min_size=64, max_size=64),
    ),
)
def test_any_ticket_makes_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, layers: list[list[bool]], about: TicketFacts
) -> None:
    mask = Mask({f"net.l{i}": torch.tensor(bits) for i, bits in enumerate(layers)})
    path = tmp_path_factory.mktemp("ticket") / "t.safetensors"
    write(path, mask, about)
    back, told, buffers = read(path)
    assert (back, list(back), told, buffers) == (mask, list(mask), about, {})


def test_the_same_ticket_is_the_same_bytes(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "other-name"
    write(other, Mask(dict(MASK)), ABOUT, dict(reversed(BUFFERS.items())))
    assert other.read_bytes() == path.read_bytes()


def test_the_bits_are_packed_as_documented(path: Path) -> None:
    stored = load_file(path)
    assert stored["generator.c1.weight"].tolist() == [0b101]
    assert stored["generator.c2.weight"].dtype is torch.uint8
    bits = np.unpackbits(stored["generator.c2.weight"].numpy(), bitorder="little")[:54]
    assert bits.tolist() == MASK["generator.c2.weight"].reshape(-1).int().tolist()
    assert "buffer:generator.b1.running_mean" in stored


def test_the_header_says_what_the_ticket_is(path: Path) -> None:
    with safetensors.safe_open(path, framework="pt") as handle:
        metadata = handle.metadata()
    header = json.loads(metadata["ticket"])
    assert list(metadata) == ["ticket"]
    assert header["about"] == {"initial_weights": "ab" * 32, "method": "magnitude", "round": 3, "seed": 12345}
    assert header["density"] == f"{MASK.kept}/57"
    assert header["layers"][1] == ["generator.c1.weight", [3], 2]
    assert header["mask_sha256"] == MASK.digest()


def test_flipped_bits_anywhere_in_the_file_are_noticed_or_harmless(path: Path) -> None:
    whole = path.read_bytes()
    header_end = 8 + int.from_bytes(whole[:8], "little")
    accepted = []
    for place in range(len(whole)):
        for bit in [place % 8] if 8 <= place < header_end else range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                assert same_ticket(path)
                accepted.append(place)
            except CorruptFile:
                continue
    assert all(whole[place] == ord(" ") and place < header_end for place in accepted), (
        "only the header's padding is free"
    )


@pytest.mark.parametrize("value", [ord("0"), ord('"')])
def test_a_byte_replaced_anywhere_never_makes_another_ticket(path: Path, value: int) -> None:
    whole = path.read_bytes()
    for place in range(len(whole)):
        if whole[place] != value:
            damaged = bytearray(whole)
            damaged[place] = value
            path.write_bytes(damaged)
            try:
                assert same_ticket(path)
            except CorruptFile:
                continue


def test_every_truncation_and_any_tail_are_noticed(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptFile):
            read(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(CorruptFile):
        read(path)


@settings(max_examples=200)
@given(
    content=st.one_of(st.binary(max_size=200), st.binary(max_size=100).map(lambda b: len(b).to_bytes(8, "little") + b))
)
def test_garbage_is_refused_as_a_corrupt_file(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("garbage") / "t"
    path.write_bytes(content)
    with pytest.raises(CorruptFile):
        read(path)


def forged(path: Path, change: dict[str, object], tensors: dict[str, torch.Tensor] | None = None) -> None:
    """Rewrite the ticket with an altered header whose seal is right again: what damage cannot do, but malice can."""
    with safetensors.safe_open(path, framework="pt") as handle:
        said = json.loads(handle.metadata()["ticket"])
    stored = load_file(path) | (tensors or {})
    said |= change
    said.pop("seal")
    seal = sha256_bytes(canonical_json(said))
    save_file(stored, path, metadata={"ticket": canonical_json(said | {"seal": seal}).decode()})


def test_forging_nothing_is_accepted(path: Path) -> None:
    forged(path, {})
    assert same_ticket(path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "ticketlab ticket 2"},
        {"format": None},
        {"layers": []},
        {"layers": 3},
        {"layers": [["generator.c1.weight", [3], 2]]},
        {"layers": [["generator.c2.weight", [54], 1], ["generator.c1.weight", [3], 2]]},
        {"layers": [["generator.c2.weight", [3, 2, 3, 3], 1], ["generator.c1.weight", [3], 2]]},
        {"layers": [["generator.c2.weight", [10**12], 1], ["generator.c1.weight", [3], 2]]},
        {"layers": [["generator.c2.weight", [10**6] * 1000, 1], ["generator.c1.weight", [3], 2]]},
        {"layers": [["generator.c2.weight", [-54, -1], 1], ["generator.c1.weight", [3], 2]]},
        {"layers": [["generator.c2.weight", [54.0], 1], ["generator.c1.weight", [3], 2]]},
        {"layers": [["generator.c2.weight", [True], 1], ["generator.c1.weight", [3], 2]]},
        {"layers": [["generator.c2.weight", "54", 1], ["generator.c1.weight", [3], 2]]},
        {"layers": [["generator.c1.weight", [3], 2], ["generator.c1.weight", [3], 2]]},
        {"density": "1/2"},
        {"mask_sha256": "0" * 64},
        {"buffers": []},
        {"buffers": ["x"]},
        {"buffers_sha256": "0" * 64},
        {"about": {}},
        {"about": {"method": "magnitude", "round": -1, "seed": 0, "initial_weights": "ab" * 32}},
        {"about": {"method": "magnitude", "round": 1, "seed": 0, "initial_weights": "ab" * 32, "more": 1}},
        {"more": 1},
    ],
)
def test_a_sealed_header_that_lies_is_refused(path: Path, change: dict[str, object]) -> None:
    forged(path, change)
    with pytest.raises(CorruptFile):
        read(path)


@pytest.mark.parametrize(
    "tensors",
    [
        {"generator.c1.weight": torch.tensor([0b111], dtype=torch.uint8)},
        {"generator.c1.weight": torch.tensor([0b1101], dtype=torch.uint8)},
        {"generator.c1.weight": torch.tensor([0b101], dtype=torch.int8)},
        {"generator.c1.weight": torch.tensor([[0b101]], dtype=torch.uint8)},
        {"generator.c1.weight": torch.tensor([0b101, 0], dtype=torch.uint8)},
        {"generator.c1.weight": torch.zeros(0, dtype=torch.uint8)},
        {"buffer:generator.b1.running_mean": torch.tensor([0.5, 1.5])},
        {"buffer:generator.b1.running_mean": torch.tensor([0.5, -1.5], dtype=torch.float64)},
        {"buffer:more": torch.tensor([0.5])},
        {"more": torch.tensor([0], dtype=torch.uint8)},
    ],
)
def test_tensors_that_the_header_does_not_promise_are_refused(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    forged(path, {}, tensors)
    with pytest.raises(CorruptFile):
        read(path)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"__metadata__":{"ticket":"' + b"[" * 100_000 + b'"}}',
        b'{"__metadata__":{"ticket":"9' + b"9" * 5000 + b'"}}',
        b'{"__metadata__":{}}',
        b'{"__metadata__":{"ticket":"{}"}}',
        b'{"__metadata__":{"ticket":"[]"}}',
        b'{"net.w":{"dtype":"U8","shape":[1000000000000],"data_offsets":[0,1000000000000]}}',
        b'{"net.w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        b'{"net.w":{"dtype":"F8_E8M0","shape":[0],"data_offsets":[0,0]}}',
        b'{"net.w":{"dtype":"U8","shape":[18446744073709551615,2],"data_offsets":[0,0]}}',
    ],
)
def test_hostile_headers_are_refused(path: Path, header: bytes) -> None:
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CorruptFile):
        read(path)


@pytest.mark.parametrize("length", [2**24 + 1, 2**62, 2**64 - 1])
def test_a_huge_header_is_refused_before_it_is_read(path: Path, length: int) -> None:
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(CorruptFile, match="does not fit"):
        read(path)


def test_a_huge_header_is_refused_though_the_file_holds_it(path: Path) -> None:
    with path.open("r+b") as handle:
        handle.write((2**24 + 1).to_bytes(8, "little"))
        handle.truncate(2**25)
    with pytest.raises(CorruptFile, match="does not fit"):
        read(path)


def test_a_huge_file_is_refused_before_it_is_read(path: Path) -> None:
    with path.open("r+b") as handle:
        handle.truncate(2**31 + 1)
    with pytest.raises(CorruptFile, match="larger"):
        read(path)


def test_a_missing_file_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFile, match="nowhere"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "change",
    [
        {"method": ""},
        {"method": "m" * 201},
        {"method": 3},
        {"round": -1},
        {"round": True},
        {"seed": -1},
        {"seed": 2**63},
        {"seed": 1.0},
        {"initial_weights": "AB" * 32},
        {"initial_weights": "ab"},
    ],
)
def test_facts_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    facts = {"method": "magnitude", "round": 1, "seed": 0, "initial_weights": "ab" * 32}
    with pytest.raises(ValueError, match=next(iter(change))):
        TicketFacts(**(facts | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", [{"method": "m" * 200}, {"method": "m"}, {"round": 0}, {"seed": 0}, {"seed": 2**63 - 1}]
)
def test_facts_at_their_bounds_are_accepted(change: dict[str, object]) -> None:
    facts = {"method": "magnitude", "round": 1, "seed": 0, "initial_weights": "ab" * 32}
    assert TicketFacts(**(facts | change))  # type: ignore[arg-type]
