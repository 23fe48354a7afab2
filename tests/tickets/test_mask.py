"""A mask is immutable, counts exactly, and has one digest."""

import hashlib
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ticketlab.tickets.mask import Mask


def bits(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    shapes = draw(st.lists(st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=4))
    seed = draw(st.integers(0, 2**31))
    source = torch.Generator().manual_seed(seed)
    return Mask({f"net.layer{i}": torch.rand(shape, generator=source) < 0.5 for i, shape in enumerate(shapes)})


@given(masks())
def test_density_is_the_exact_ratio_of_counted_bits(mask: Mask) -> None:
    kept = sum(sum(layer.reshape(-1).tolist()) for layer in mask.values())
    size = sum(len(layer.reshape(-1).tolist()) for layer in mask.values())
    assert (mask.kept, mask.size, mask.density) == (kept, size, Fraction(kept, size))
    assert float(mask.density) == kept / size
    assert sum(mask.layer_kept().values()) == kept
    for name, layer in mask.items():
        assert mask.layer_densities()[name] == Fraction(sum(layer.reshape(-1).tolist()), layer.numel())


def test_neither_the_source_nor_what_is_handed_out_can_change_a_mask() -> None:
    source = bits(1, 0)
    mask = Mask({"net.w": source})
    before = mask.digest()
    source.fill_(True)
    mask["net.w"].fill_(True)
    for layer in mask.values():
        layer.fill_(False)
    mask.layer_kept()["net.w"] = 7
    with pytest.raises(TypeError):
        mask._layers["net.w"] = source  # type: ignore[index]
    assert mask.digest() == before
    assert mask.kept == 1


@pytest.mark.parametrize(
    ("layers", "error"),
    [
        ({}, ValueError),
        ({"net.w": torch.ones(2)}, TypeError),
        ({"net.w": torch.ones(2, dtype=torch.uint8)}, TypeError),
        ({"net.w": [True]}, TypeError),
        ({"net.w": torch.ones(0, dtype=torch.bool)}, ValueError),
        ({"w": bits(1)}, ValueError),
        ({"": bits(1)}, ValueError),
        ({"net..w": bits(1)}, ValueError),
        ({"buffer:net.w": bits(1)}, ValueError),
    ],
)
def test_nonsense_is_refused(layers: dict[str, torch.Tensor], error: type[Exception]) -> None:
    with pytest.raises(error):
        Mask(layers)


@given(masks())
def test_every_single_flipped_bit_changes_equality_and_digest(mask: Mask) -> None:
    digests = {mask.digest()}
    for name, layer in mask.items():
        for index in range(layer.numel()):
            flipped = layer.clone()
            flipped.view(-1)[index] = ~flipped.view(-1)[index]
            other = Mask({**mask, name: flipped})
            assert other != mask
            digests.add(other.digest())
    assert len(digests) == mask.size + 1


def test_digest_ignores_order_but_not_names_or_shapes() -> None:
    a, b = bits(1, 0, 1, 1), bits(0, 1)
    mask = Mask({"net.a": a, "net.b": b})
    turned = Mask({"net.b": b, "net.a": a})
    assert list(turned) == ["net.b", "net.a"]
    assert mask == turned
    assert hash(mask) == hash(turned)
    assert mask.digest() == turned.digest()
    others = [
        Mask({"net.a": a, "net.c": b}),
        Mask({"net.a": a.reshape(2, 2), "net.b": b}),
        Mask({"net.a": b, "net.b": a}),
        Mask({"net.a": a}),
    ]
    assert all(other != mask for other in others)
    assert len({mask.digest(), *(other.digest() for other in others)}) == 5


def test_digest_is_sha256_of_sorted_names_shapes_and_packed_bits() -> None:
    mask = Mask({"net.b": bits(1, 0, 0, 0, 0, 0, 0, 1, 1), "net.a": bits(0)})
    spelled = b"ticketlab mask 1\n" + b'[["net.a",[1]],["net.b",[9]]]' + bytes([0b0, 0b10000001, 0b1])
    assert mask.digest() == hashlib.sha256(spelled).hexdigest()


def test_digest_does_not_depend_on_the_memory_format() -> None:
    layer = torch.rand(3, 4, 2, 2, generator=torch.Generator().manual_seed(0)) < 0.5
    strided = layer.to(memory_format=torch.channels_last)
    assert Mask({"net.w": strided}).digest() == Mask({"net.w": layer}).digest()


@given(masks(), st.integers(0, 2**31))
def test_within_is_the_subset_relation(mask: Mask, seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    inner = Mask({name: layer & (torch.rand(layer.shape, generator=source) < 0.5) for name, layer in mask.items()})
    assert inner.within(mask)
    assert mask.within(mask)
    assert mask.within(inner) == (mask == inner)
    assert mask.within(Mask.dense(mask.shapes()))


def test_masks_of_different_layers_are_not_comparable() -> None:
    with pytest.raises(ValueError, match="different layers"):
        Mask({"net.a": bits(1)}).within(Mask({"net.b": bits(1)}))


@given(masks())
def test_dense_keeps_everything(mask: Mask) -> None:
    dense = Mask.dense(mask.shapes())
    assert dense.density == 1
    assert dense.shapes() == mask.shapes()


def test_agreement_is_the_share_of_bits_that_are_the_same() -> None:
    one = Mask({"net.a": bits(0, 1, 1), "net.b": bits(1, 0)})
    other = Mask({"net.b": bits(1, 1), "net.a": bits(0, 1, 0)})
    assert one.agreement(other) == other.agreement(one) == Fraction(3, 5)
    assert one.agreement(one) == 1
    with pytest.raises(ValueError, match="different layers"):
        one.agreement(Mask({"net.a": bits(0, 1, 1)}))
