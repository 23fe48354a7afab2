import pytest
import torch

from ticketlab.augment.diffaugment import (
    augmented,
    brightness,
    build,
    contrast,
    cutout,
    draw,
    saturation,
    translation,
)
from ticketlab.randomness import Key
from ticketlab.spec.augment import DiffAugment

SHAPES = [torch.Size((4, 3, 8, 8)), torch.Size((3, 3, 9, 5)), torch.Size((2, 1, 3, 7))]


def images_of(shape, dtype=torch.float64):
    return torch.randn(shape, generator=Key(0).generator(), dtype=dtype)


def uniforms(batch):
    return torch.rand(batch, 1, 1, 1, generator=Key(1).generator())


@pytest.mark.parametrize("shape", SHAPES)
def test_colour_operations_equal_their_formulas_image_by_image(shape):
    images, u = images_of(shape), uniforms(shape[0])
    for b, image in enumerate(images):
        share = u[b].double().item()
        torch.testing.assert_close(brightness(images, u)[b], image + share - 0.5)
        for p in range(shape[2]):
            pixel = image[:, p, 0]
            torch.testing.assert_close(
                saturation(images, u)[b, :, p, 0], (pixel - pixel.mean()) * 2 * share + pixel.mean()
            )
        torch.testing.assert_close(contrast(images, u)[b], (image - image.mean()) * (share + 0.5) + image.mean())


def test_neutral_draws_change_nothing():
    images, half = images_of(SHAPES[0]), torch.full((4, 1, 1, 1), 0.5)
    for operation in (brightness, saturation, contrast):
        torch.testing.assert_close(operation(images, half), images)
    still = torch.zeros(4, 1, 1, dtype=torch.int64)
    assert torch.equal(translation(images, still, still), images)


@pytest.mark.parametrize("shape", SHAPES)
def test_cutout_zeroes_the_box_whose_places_are_clamped_into_the_image(shape):
    images = images_of(shape)
    batch, _, height, width = shape
    lengths = [int(side * 0.5 + 0.5) for side in (height, width)]
    for row in range(height + 1 - lengths[0] % 2):
        for column in range(width + 1 - lengths[1] % 2):
            expected = images.clone()
            for k in range(lengths[0]):
                for m in range(lengths[1]):
                    i = min(max(row - lengths[0] // 2 + k, 0), height - 1)
                    j = min(max(column - lengths[1] // 2 + m, 0), width - 1)
                    expected[:, :, i, j] = 0
            centres = (torch.full((batch, 1, 1), place) for place in (row, column))
            assert torch.equal(cutout(images, *centres), expected)


def test_draws_cover_exactly_their_ranges():
    shape = torch.Size((4000, 3, 32, 21))
    rows, columns = draw("translation", shape, Key(2).generator())
    assert rows.shape == columns.shape == (4000, 1, 1)
    assert set(rows.flatten().tolist()) == set(range(-4, 5))
    assert set(columns.flatten().tolist()) == set(range(-3, 4))
    rows, columns = draw("cutout", shape, Key(2).generator())
    assert set(rows.flatten().tolist()) == set(range(33))  # a box of 16: even, one place more
    assert set(columns.flatten().tolist()) == set(range(21))  # a box of 11: odd
    for uniform in draw("color", shape, Key(2).generator()):
        assert uniform.shape == (4000, 1, 1, 1)
        assert 0 <= uniform.min() < 0.01
        assert 0.99 < uniform.max() < 1


def test_a_policy_applies_its_operations_in_order_with_draws_from_one_generator():
    images, key = images_of(SHAPES[0], torch.float32), Key(5)
    generator = key.generator()
    bright, saturated, contrasted = (torch.rand(4, 1, 1, 1, generator=generator) for _ in range(3))
    shifts = [torch.randint(-1, 2, (4, 1, 1), generator=generator) for _ in range(2)]
    centres = [torch.randint(0, 9, (4, 1, 1), generator=generator) for _ in range(2)]
    expected = contrast(saturation(brightness(images, bright), saturated), contrasted)
    expected = cutout(translation(expected, *shifts), *centres)
    augmenter = build(DiffAugment())
    assert augmenter.on == "scaled"
    assert torch.equal(augmenter.apply(images, key), expected)
    backwards = build(DiffAugment(policy=("cutout", "color"))).apply(images, key)
    generator = key.generator()
    first = augmented(images, "cutout", draw("cutout", images.shape, generator))
    assert torch.equal(backwards, augmented(first, "color", draw("color", images.shape, generator)))


@pytest.mark.parametrize("operation", ["color", "translation", "cutout"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_finite_differences(operation, shape):
    shape = torch.Size((2, *shape[1:2], 4, 3))
    images = images_of(shape).requires_grad_()
    draws = draw(operation, shape, Key(6).generator())
    draws = [drawn.double() for drawn in draws] if operation == "color" else draws
    assert torch.autograd.gradcheck(lambda x: augmented(x, operation, draws), images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_number_type_of_the_images_is_kept(dtype):
    images = images_of(SHAPES[0], torch.float32).to(dtype)
    assert build(DiffAugment()).apply(images, Key(1)).dtype == dtype


def test_each_image_and_each_key_draws_its_own_and_the_global_generator_is_left_alone():
    images = images_of(torch.Size((1, 3, 8, 8))).expand(6, -1, -1, -1)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    apply = build(DiffAugment()).apply
    out = apply(images, Key(7))
    assert torch.equal(before, torch.get_rng_state())
    assert all(not torch.equal(out[0], other) for other in out[1:])
    assert torch.equal(out, apply(images, Key(7)))
    assert not torch.equal(out, apply(images, Key(8)))
    assert torch.equal(images, images_of(torch.Size((1, 3, 8, 8))).expand(6, -1, -1, -1))
