import torch

from ticketlab.augment.crop_flip import crop, flip
from ticketlab.randomness import Key
from ticketlab.spec.augment import Crop, Flip


def pixels(batch=512, size=4):
    return torch.randint(1, 256, (batch, 3, size, size), generator=Key(0).generator(), dtype=torch.uint8)


def test_every_crop_is_a_window_of_the_padded_image_and_every_place_occurs():
    images, padding = pixels(), 1
    augmenter = crop(Crop(padding=padding))
    assert augmenter.on == "pixels"
    out = augmenter.apply(images, Key(1))
    assert out.shape == images.shape
    assert out.dtype == torch.uint8
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    places = [(row, column) for row in range(3) for column in range(3)]
    matches = torch.stack([(padded[:, :, r : r + 4, c : c + 4] == out).flatten(1).all(1) for r, c in places])
    assert matches.any(0).all()
    shares = matches.float().mean(1)
    assert shares.min() > 0.06
    assert shares.max() < 0.17


def test_a_padding_beyond_the_image_can_leave_it_black():
    out = crop(Crop(padding=64)).apply(pixels(64), Key(1))
    assert (out == 0).flatten(1).all(1).float().mean() > 0.8


def test_half_of_the_images_are_mirrored_and_the_others_untouched():
    images = pixels()
    augmenter = flip(Flip())
    assert augmenter.on == "pixels"
    out = augmenter.apply(images, Key(2))
    same = (out == images).flatten(1).all(1)
    mirrored = (out == images.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 0.42 < mirrored.float().mean() < 0.58


def test_draws_belong_to_the_key_and_leave_the_global_generator_alone():
    images = pixels(64)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for augmenter in (crop(Crop()), flip(Flip())):
        assert torch.equal(augmenter.apply(images, Key(3)), augmenter.apply(images, Key(3)))
        assert not torch.equal(augmenter.apply(images, Key(3)), augmenter.apply(images, Key(4)))
    assert torch.equal(before, torch.get_rng_state())
