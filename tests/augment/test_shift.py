import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.augment.shift import shifted


def by_loops(images, rows, columns):
    out = torch.zeros_like(images)
    batch, _, height, width = images.shape
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                row, column = i + int(rows[b]), j + int(columns[b])
                if 0 <= row < height and 0 <= column < width:
                    out[b, :, i, j] = images[b, :, row, column]
    return out


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8)), min_size=1, max_size=4),
)
def test_shifts_of_any_length_equal_the_definition(height, width, shifts):
    images = torch.arange(1, 2 * len(shifts) * height * width + 1).view(len(shifts), 2, height, width)
    rows, columns = torch.tensor(shifts).t()
    assert torch.equal(shifted(images, rows, columns), by_loops(images, rows, columns))


@pytest.mark.parametrize("kind", [torch.uint8, torch.float16, torch.bfloat16, torch.float64])
def test_the_number_type_is_kept_and_pixels_outside_are_zero_even_beside_nan(kind):
    images = torch.ones(1, 1, 2, 2, dtype=kind)
    if kind.is_floating_point:
        images[0, 0, 0, 0] = torch.nan
    moved = shifted(images, torch.tensor([1]), torch.tensor([1]))
    assert moved.dtype == kind
    assert moved.flatten().tolist() == [1, 0, 0, 0]


def test_channels_last_images_move_alike():
    images = torch.randn(3, 2, 5, 4)
    rows, columns = torch.tensor([1, -2, 0]), torch.tensor([0, 3, -1])
    moved = shifted(images.contiguous(memory_format=torch.channels_last), rows, columns)
    assert torch.equal(moved, shifted(images, rows, columns))


def test_gradients_shift_back():
    images = torch.randn(3, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    rows, columns = torch.tensor([1, -2, 0]), torch.tensor([0, 1, -3])
    assert torch.autograd.gradcheck(lambda x: shifted(x, rows, columns).square(), images)
    assert torch.autograd.gradgradcheck(lambda x: shifted(x, rows, columns).square(), images)
