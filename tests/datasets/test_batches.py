"""Batches: every image once per epoch, any batch by its number; pixel ranges and sizes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.datasets.batches import Batches, Scaling, prepare
from ticketlab.errors import DataError
from ticketlab.randomness import Key


def numbered(count, batch, seed=0):
    """A stream whose images and labels both tell their own index."""
    labels = torch.arange(count)
    images = (labels % 256).to(torch.uint8).view(count, 1, 1, 1).expand(count, 1, 2, 2).contiguous()
    return Batches(images, labels, batch, Key(seed))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 70))
def test_the_stream_passes_every_image_once_per_epoch(count, batch):
    stream = numbered(count, batch)
    numbers = -(-4 * count // batch)
    taken = torch.cat([stream.at(number)[1] for number in range(numbers)]).tolist()
    for begin in range(0, len(taken) - count + 1, count):
        assert sorted(taken[begin : begin + count]) == list(range(count))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 70), st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_a_batch_is_the_same_in_whatever_order_batches_are_asked_for(count, batch, steps):
    stream = numbered(count, batch)
    for step in steps:
        images, labels = stream.at(step)
        assert len(labels) == batch
        assert torch.equal(labels, numbered(count, batch).at(step)[1])
        assert torch.equal(images[:, 0, 0, 0].long(), labels % 256)


def test_epochs_and_keys_have_their_own_orders():
    stream = numbered(100, 100)
    orders = [tuple(stream.at(step)[1].tolist()) for step in range(5)] + [
        tuple(numbered(100, 100, seed=1).at(0)[1].tolist())
    ]
    assert len(set(orders)) == 6


def test_far_steps_are_reached_at_once_and_the_global_generator_is_untouched():
    state = torch.get_rng_state()
    images, labels = numbered(100, 64).at(10**12)
    assert images.shape == (64, 1, 2, 2)
    assert labels.dtype == torch.int64
    assert torch.equal(torch.get_rng_state(), state)


def test_images_of_the_right_size_pass_through():
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    for size in (None, 8):
        assert torch.equal(prepare(images, size, "resize", "cpu"), images)


def test_padding_centres_images_in_black():
    images = torch.full((2, 3, 4, 4), 9, dtype=torch.uint8)
    padded = prepare(images, 9, "pad", "cpu")
    assert padded.shape == (2, 3, 9, 9)
    assert torch.equal(padded[:, :, 2:6, 2:6], images)
    assert int(padded.long().sum()) == int(images.long().sum())
    with pytest.raises(DataError, match="cannot be padded to 3"):
        prepare(images, 3, "pad", "cpu")


def test_resizing_keeps_flat_images_and_averages_when_it_shrinks():
    flat = torch.full((2, 1, 28, 28), 77, dtype=torch.uint8)
    for size in (8, 32, 64):
        assert prepare(flat, size, "resize", "cpu").unique().tolist() == [77]
    stripes = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 255
    shrunk = prepare(stripes, 8, "resize", "cpu")
    assert 120 < int(shrunk.min()) <= int(shrunk.max()) < 135


def test_resizing_rounds_to_the_nearest_byte():
    images = torch.tensor([[0, 255], [0, 255]], dtype=torch.uint8).view(1, 1, 2, 2)
    doubled = prepare(images, 4, "resize", "cpu")
    assert doubled[0, 0, 0].tolist() == [0, 64, 191, 255]


def test_resizing_in_chunks_is_resizing_one_by_one():
    images = torch.randint(0, 256, (70, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    together = prepare(images, 300, "resize", "cpu")
    for index in (0, 61, 62, 69):
        assert torch.equal(together[index], prepare(images[index : index + 1], 300, "resize", "cpu")[0])


BYTES = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(2, 3, 1, 1)
MEAN, STD = (0.5, 0.25, 0.1), (0.2, 0.3, 0.4)


def test_ranges_are_met_exactly():
    symmetric, unit = Scaling.of("symmetric", MEAN, STD)(BYTES), Scaling.of("unit", MEAN, STD)(BYTES)
    assert (float(symmetric.min()), float(symmetric.max())) == (-1, 1)
    assert (float(unit.min()), float(unit.max())) == (0, 1)


def test_standard_scaling_subtracts_the_mean_and_divides_by_the_deviation():
    expected = (BYTES.double() / 255 - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    assert torch.allclose(Scaling.of("standard", MEAN, STD)(BYTES).double(), expected, atol=1e-5)
    with pytest.raises(DataError, match="constant"):
        Scaling.of("standard", (0.5,), (0.0,))
