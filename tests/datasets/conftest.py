"""Small datasets in the layouts of the originals."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ticketlab.spec.class_names import TINY_IMAGENET

PALETTE = [value for number in range(256) for value in (number, 255 - number, number // 2)]
SHAPES = {"2007_000032": (30, 20), "2007_000039": (20, 30), "2008_000123": (24, 24)}
LISTS = {"train": ["2007_000039", "2007_000032"], "val": ["2008_000123"]}
TINY = (TINY_IMAGENET[0], TINY_IMAGENET[7], TINY_IMAGENET[199])


def label_map(path: Path, numbers: np.ndarray) -> None:
    """A PNG of palette colours."""
    picture = Image.fromarray(numbers.astype(np.uint8), mode="P")
    picture.putpalette(PALETTE)
    picture.save(path)


def numbers_of(name: str) -> np.ndarray:
    """The label map of a picture: background, a class in its middle, a boundary between them."""
    width, height = SHAPES[name]
    numbers = np.zeros((height, width))
    numbers[4:-4, 4:-4] = 255
    numbers[6:-6, 6:-6] = 1 + list(SHAPES).index(name)
    return numbers


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """VOC2012 with three pictures; the folder that holds VOCdevkit."""
    root = tmp_path / "originals" / "VOCdevkit" / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for name in SHAPES:
        numbers = numbers_of(name)
        pixels = np.repeat(numbers[:, :, None] % 255 * 50, 3, 2).astype(np.uint8)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg", quality=100)
        label_map(root / "SegmentationClass" / f"{name}.png", numbers)
    for split, names in LISTS.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return tmp_path / "originals"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Tiny ImageNet with three classes of two training and one validation picture; the folder that holds its own."""
    root = tmp_path / "originals" / "tiny-imagenet-200"
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(reversed(TINY)))
    lines = []
    for index, number in enumerate(TINY):
        folder = root / "train" / number / "images"
        folder.mkdir(parents=True)
        (folder.parent / f"{number}_boxes.txt").write_text("")
        for count in range(2):
            shade = np.full((64, 64), 60 * index + 10 * count, dtype=np.uint8)
            Image.fromarray(shade).save(folder / f"{number}_{count}.JPEG")
        Image.fromarray(np.full((64, 64, 3), 60 * index, np.uint8)).save(root / "val" / "images" / f"val_{index}.JPEG")
        lines.append(f"val_{index}.JPEG\t{number}\t0\t0\t62\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    return tmp_path / "originals"


def packed(folder: Path, archive: Path) -> Path:
    """A .tar or a .zip of all that lies in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as made:
            for path in files:
                made.write(path, path.relative_to(folder).as_posix())
    else:
        with tarfile.open(archive, "w") as made:
            for path in files:
                made.add(path, path.relative_to(folder).as_posix())
    return archive


@pytest.fixture
def pack_up():
    """Makes archives of folders."""
    return packed
