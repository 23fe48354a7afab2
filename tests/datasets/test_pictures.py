"""Folders and sheets of pictures."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from ticketlab.datasets import folder
from ticketlab.datasets.npm import decode_sheet
from ticketlab.datasets.pictures import open_centre, open_square, open_window
from ticketlab.errors import DataError


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)


def fill(root, classes, count, shape=(12, 16, 3)):
    for offset, name in enumerate(classes):
        for number in range(count):
            save(root / name / f"{number:03}.png", np.full(shape, 20 * offset + number))


def whole(height, width):
    """The window that is all of a picture."""
    return 0, 0, height, width


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def transparent_without_palette():
    """A PNG of 8 x 8 numbers of colours, one of them transparent, that has no colours."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(8 * 9)))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"tRNS", b"\0") + rows + chunk(b"IEND", b"")


def png_header(width, height):
    """A PNG that claims a size and has no pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    begin = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return begin + struct.pack(">I", 1000) + b"IDAT"


def test_train_and_test_folders_become_splits_labelled_by_sorted_class(tmp_path):
    fill(tmp_path / "train", ["dog", "cat"], 3)
    fill(tmp_path / "test", ["dog", "cat"], 1)
    splits, names = folder.read(tmp_path, 8)
    assert names == ("cat", "dog")
    assert splits["train"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert splits["train"].images.shape == (6, 3, 8, 8)
    assert splits["train"].images[:, 0, 0, 0].tolist() == [20, 21, 22, 0, 1, 2]
    assert splits["test"].labels.tolist() == [0, 1]


def test_without_a_test_folder_a_tenth_of_each_class_is_set_aside_the_same_each_time(tmp_path):
    fill(tmp_path, ["a", "b"], 20)
    splits, _ = folder.read(tmp_path, 8)
    assert splits["test"].labels.tolist() == [0, 0, 1, 1]
    assert splits["train"].labels.tolist() == [0] * 18 + [1] * 18
    together = torch.cat([splits[name].images[:, 0, 0, 0] for name in ("train", "test")])
    assert sorted(together.tolist()) == list(range(40))
    again, _ = folder.read(tmp_path, 8)
    assert torch.equal(splits["test"].images, again["test"].images)


def test_the_centre_square_is_taken(tmp_path):
    pixels = np.zeros((4, 10, 3))
    pixels[:, 3:7] = 200
    save(tmp_path / "wide.png", pixels)
    save(tmp_path / "tall.png", pixels.transpose(1, 0, 2))
    for name in ("wide.png", "tall.png"):
        square, _ = open_square(tmp_path / name, 8, name)
        assert square.unique().tolist() == [200]


def test_what_loses_nothing_is_decoded_to_the_numbers_that_were_written(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    for name in ("a.png", "b.webp"):
        Image.fromarray(pixels).save(tmp_path / name, lossless=True)
        for seen in (
            open_square(tmp_path / name, 8, name)[0],
            open_window((tmp_path / name).read_bytes(), whole, 8, name),
        ):
            assert torch.equal(seen, torch.from_numpy(pixels).permute(2, 0, 1))


def test_shrinking_averages_instead_of_skipping(tmp_path):
    stripes = np.zeros((64, 64, 3))
    stripes[:, ::2] = 255
    save(tmp_path / "a.png", stripes)
    shrunk, _ = open_square(tmp_path / "a.png", 8, "a.png")
    assert 120 < shrunk.min() <= shrunk.max() < 135


def test_pictures_stay_gray_only_if_all_are(tmp_path):
    fill(tmp_path, ["a", "b"], 2, shape=(8, 8))
    splits, _ = folder.read(tmp_path, 8)
    assert splits["train"].images.shape == (2, 1, 8, 8)
    save(tmp_path / "a" / "000.png", np.full((8, 8, 3), 7))
    splits, _ = folder.read(tmp_path, 8)
    assert splits["train"].images.shape == (2, 3, 8, 8)


def test_other_files_hidden_folders_and_capital_endings(tmp_path):
    fill(tmp_path, ["a"], 2)
    save(tmp_path / ".cache" / "x.png", np.zeros((8, 8, 3)))
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "readme.md").write_text("x")
    (tmp_path / "a" / "000.png").rename(tmp_path / "a" / "000.PNG")
    splits, names = folder.read(tmp_path, 8)
    assert names == ("a",)
    assert len(splits["train"].labels) + len(splits["test"].labels) == 2


def test_the_test_split_may_be_called_val_as_elsewhere(tmp_path):
    fill(tmp_path / "train", ["a", "b"], 3)
    fill(tmp_path / "val", ["a", "b"], 2)
    splits, names = folder.read(tmp_path, 8)
    assert names == ("a", "b")
    assert {split: len(part.labels) for split, part in splits.items()} == {"train": 6, "test": 4}
    fill(tmp_path / "test", ["a", "b"], 1)
    splits, _ = folder.read(tmp_path, 8)
    assert len(splits["test"].labels) == 2


def test_what_is_said_of_a_folder_in_no_layout_names_both(tmp_path):
    fill(tmp_path / "train", ["a", "b"], 3)
    with pytest.raises(DataError, match="class folder train has no") as caught:
        folder.read(tmp_path, 8)
    assert "train/ and test/ (or val/)" in caught.value.mend
    fill(tmp_path / "val", ["a"], 1)
    with pytest.raises(DataError, match="train and val have different classes: b"):
        folder.read(tmp_path, 8)


def test_unusable_folders_say_why(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        folder.read(tmp_path / "absent", 8)
    with pytest.raises(DataError, match="no class folders"):
        folder.read(tmp_path, 8)
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="class folder a has no"):
        folder.read(tmp_path, 8)
    fill(tmp_path, ["a"], 1)
    with pytest.raises(DataError, match="one picture"):
        folder.read(tmp_path, 8)
    fill(tmp_path / "both" / "train", ["a", "b"], 1)
    fill(tmp_path / "both" / "test", ["a"], 1)
    with pytest.raises(DataError, match="different classes: b"):
        folder.read(tmp_path / "both", 8)


def test_more_pictures_than_memory_should_hold_are_refused_before_they_are_opened(tmp_path):
    for number in range(12_000):
        path = tmp_path / "a" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with pytest.raises(DataError, match="do not fit"):
        folder.read(tmp_path, 512)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read"),
        (b"garbage", "cannot be read"),
        (b"GIF89a" + bytes(100), "cannot be read"),
        (png_header(10, 10), "cannot be read"),
        (png_header(9000, 9000), "9000 x 9000 pixels are more"),
        (png_header(60_000, 60_000), "exceeds limit of .* pixels"),
    ],
    ids=["empty", "garbage", "gif", "stump", "large", "bomb"],
)
def test_a_bad_picture_is_refused_by_name(tmp_path, content, says):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        open_square(path, 8, str(path))
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    "seen",
    [
        lambda content: open_square(content, 8, "a.png"),
        lambda content: open_centre(content, 8, "a.png"),
        lambda content: open_window(content, whole, 8, "a.png"),
    ],
    ids=["square", "centre", "window"],
)
def test_a_decoder_that_asserts_refuses_the_picture_by_name(seen):
    with pytest.raises(DataError, match=r"this picture cannot be read \(AssertionError\)") as caught:
        seen(transparent_without_palette())
    assert caught.value.where == "a.png"


def test_what_goes_wrong_in_the_code_around_a_decoder_is_not_said_of_the_picture(tmp_path):
    save(tmp_path / "a.png", np.zeros((8, 8, 3)))
    with pytest.raises(ZeroDivisionError):
        open_window((tmp_path / "a.png").read_bytes(), lambda height, width: (0, 0, height // 0, width), 8, "a.png")


def test_deep_gray_pictures_are_refused_rather_than_clipped(tmp_path):
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="mode I;16"):
        open_square(tmp_path / "a.png", 8, "a.png")


def test_a_sheet_holds_one_image_per_row():
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows = images.permute(0, 2, 3, 1).reshape(5, 1024, 3)
    buffer = io.BytesIO()
    Image.fromarray(rows.numpy()).save(buffer, format="PNG")
    assert torch.equal(decode_sheet(buffer.getvalue(), 5, "sheet"), images)
    with pytest.raises(DataError, match=r"expected \(1024, 4\)"):
        decode_sheet(buffer.getvalue(), 4, "sheet")
    for damaged in (buffer.getvalue()[:-200], b"garbage", png_header(1024, 5)):
        with pytest.raises(DataError, match="not a PNG sheet"):
            decode_sheet(damaged, 5, "sheet")
