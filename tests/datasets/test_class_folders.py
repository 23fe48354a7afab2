"""What lies in folders of pictures by class is taken, counted as passed over, or refused; nothing is left out unsaid."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ticketlab.datasets.class_folders import classes_in, pictures_in
from ticketlab.datasets.sources import add, passed_over
from ticketlab.errors import DataError


def picture(path: Path, form: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(path, format=form)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of three pictures, one of a capital ending."""
    for name in "ab":
        for file in ("0.png", "1.PNG", "2.png"):
            picture(tmp_path / "photos" / name / file)
    return tmp_path / "photos"


@pytest.fixture
def streamed(tmp_path: Path) -> Path:
    """Photographs laid out as ImageNet's."""
    for split in ("train", "val"):
        for name in "ab":
            for number in range(3):
                picture(tmp_path / "streamed" / split / name / f"{number}.JPEG", "JPEG")
    return tmp_path / "streamed"


def test_every_entry_is_a_class_a_picture_hidden_or_passed_over(photos: Path) -> None:
    picture(photos / "a" / "deeper" / "9.png")
    picture(photos / "loose.png")
    picture(photos / ".cache" / "9.png")
    for other in ("a/3.tiff", "b/\x1b[2Jnotes.txt", "readme.md", "a/.DS_Store"):
        (photos / other).touch()
    assert classes_in(photos) == ["a", "b"]
    assert [pictures_in(photos / name) for name in "ab"] == [["0.png", "1.PNG", "2.png"]] * 2
    assert passed_over("imagefolder", photos) == [
        "a/3.tiff",
        "a/deeper",
        "b/\x1b[2Jnotes.txt",
        "loose.png",
        "readme.md",
    ]


def test_folders_beside_both_splits_are_passed_over(photos: Path, streamed: Path, tmp_path: Path) -> None:
    picture(streamed / "train" / "a" / "x.gif")
    picture(streamed / "test" / "0.JPEG")
    assert passed_over("imagenet", streamed) == ["test", "train/a/x.gif"]
    for split in ("train", "test", "validation"):
        picture(tmp_path / "splits" / split / "a" / "0.png")
    assert passed_over("imagefolder", tmp_path / "splits") == ["validation"]
    assert passed_over("cifar10", photos) == passed_over("imagefolder", None) == []


@pytest.mark.parametrize("name", [b"r\xffse", b"a\x1b[2J", b"a\nb"])
def test_a_class_whose_name_cannot_be_written_is_refused_by_it(photos: Path, tmp_path: Path, name: bytes) -> None:
    for number in range(2):
        picture(photos / os.fsdecode(name) / f"{number}.png")
    with pytest.raises(DataError, match="not text that can be written in a line") as caught:
        add("imagefolder", tmp_path, photos, as_name=None, size=8)
    assert str(caught.value).isascii()
    assert "\x1b" not in str(caught.value)
    assert not (tmp_path / "data").exists()
    (photos / os.fsdecode(name)).rename(photos / "rosé 猫")
    add("imagefolder", tmp_path, photos, as_name=None, size=8)


@pytest.mark.parametrize("lost", ["a/1.PNG", "a/0.png", "a/deeper", "c", "a/.hidden.png"])
def test_a_link_that_leads_nowhere_is_refused_by_name(photos: Path, tmp_path: Path, lost: str) -> None:
    (photos / lost).unlink(missing_ok=True)
    (photos / lost).symlink_to(tmp_path / "annex" / "x")
    with pytest.raises(DataError, match="leads to no file") as caught:
        add("imagefolder", tmp_path, photos, as_name=None, size=8)
    assert caught.value.where == str(photos / lost)
    assert "git annex get" in caught.value.mend
    assert not (tmp_path / "data").exists()
    (tmp_path / "annex").mkdir()
    (tmp_path / "annex" / "x").symlink_to(tmp_path / "annex" / "x")
    with pytest.raises(DataError, match="leads to no file"):
        add("imagefolder", tmp_path, photos, as_name=None, size=8)


def test_links_that_lead_to_pictures_and_folders_are_followed(photos: Path, tmp_path: Path) -> None:
    (photos / "a" / "0.png").rename(tmp_path / "kept")
    (photos / "a" / "0.png").symlink_to(tmp_path / "kept")
    (photos / "b").rename(tmp_path / "b")
    (photos / "b").symlink_to(tmp_path / "b")
    manifest = add("imagefolder", tmp_path, photos, as_name=None, size=8)
    assert manifest.counts == {"train": 4, "test": 2}
    assert passed_over("imagefolder", photos) == []


def test_an_index_of_a_part_of_the_pictures_is_not_made(streamed: Path, tmp_path: Path) -> None:
    for number in (0, 2):
        (streamed / "train" / "b" / f"{number}.JPEG").unlink()
        (streamed / "train" / "b" / f"{number}.JPEG").symlink_to("nowhere")
    with pytest.raises(DataError, match="2 links of this folder lead to no file; this is the first") as caught:
        add("imagenet", tmp_path, streamed, as_name="small", size=None)
    assert caught.value.where == str(streamed / "train" / "b" / "0.JPEG")


def test_pictures_of_every_ending_are_packed_and_indexed(photos: Path, streamed: Path, tmp_path: Path) -> None:
    for folder in (photos / "a", streamed / "train" / "a"):
        picture(folder / "3.webp", "WEBP")
        picture(folder / "4.jpg", "JPEG")
    assert add("imagefolder", tmp_path, photos, as_name="all", size=8).counts == {"train": 6, "test": 2}
    assert add("imagenet", tmp_path, streamed, as_name="small", size=None).counts == {"train": 8, "test": 6}


def test_a_folder_that_is_called_a_picture_is_refused(photos: Path, tmp_path: Path) -> None:
    picture(photos / "a" / "3.png" / "x.png")
    with pytest.raises(DataError, match="called a picture and is no file") as caught:
        add("imagefolder", tmp_path, photos, as_name=None, size=8)
    assert caught.value.where == str(photos / "a" / "3.png")
