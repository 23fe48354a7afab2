"""PASCAL VOC 2012 segmentation from its original files, as the folder VOCdevkit/VOC2012 or as the .tar with it."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import torch

from ticketlab.datasets.labels import MAPS
from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import Split
from ticketlab.datasets.pictures import open_map, open_square, refuse_many, size_of
from ticketlab.datasets.tree import Tree, find
from ticketlab.errors import DataError
from ticketlab.spec.catalog import KNOWN

ARCHIVE = "VOCtrainval_11-May-2012.tar"
_FOLDER = "VOCdevkit/VOC2012"
_LISTS: dict[SplitName, str] = {"train": "train.txt", "test": "val.txt"}
_PICTURE = re.compile(r"[0-9]{4}_[0-9]{6}")
_MOST_LIST = 1 << 22
_MOST_PICTURE = 1 << 25


def read(source: Path, size: int = KNOWN["voc2012"].size) -> dict[SplitName, Split]:
    """Both splits of the segmentation task; the validation list is the test.

    A picture and its label map are cut to their centre square and brought to `size` pixels: the picture antialiased,
    the map by its nearest pixels. Boundaries stay without a label. DataError if a file is absent or not what it should be.
    """
    tree = find(source, _FOLDER, ARCHIVE, _list("train"))
    return {split: _read_split(tree, split, size) for split in _LISTS}


def _list(split: SplitName) -> str:
    return f"ImageSets/Segmentation/{_LISTS[split]}"


def _read_split(tree: Tree, split: SplitName, size: int) -> Split:
    names = _names(tree, _list(split))
    refuse_many(len(names), 4 * size**2, tree.where(_list(split)))
    images = torch.empty((len(names), 3, size, size), dtype=torch.uint8)
    maps = torch.empty((len(names), size, size), dtype=torch.uint8)
    for index, name in enumerate(names):
        images[index], maps[index] = _read_pair(tree, name, size)
    return Split(images, maps, MAPS)


def _read_pair(tree: Tree, name: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture (3, size, size) and its label map (size, size)."""
    picture, labels = f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png"
    content = tree.read(picture, _MOST_PICTURE)
    pixels, _ = open_square(content, size, tree.where(picture))
    classes = KNOWN["voc2012"].classes
    classes_of, found = open_map(tree.read(labels, _MOST_PICTURE), size, classes, tree.where(labels))
    expected = size_of(content, tree.where(picture))
    if found != expected:
        raise DataError(f"its {found} pixels are not its picture's {expected}", where=tree.where(labels))
    return pixels, classes_of


def _names(tree: Tree, listed: str) -> list[str]:
    """The pictures of a list, in its order; nothing but names of pictures, each once."""
    refuse = partial(DataError, where=tree.where(listed))
    names = tree.read(listed, _MOST_LIST).decode("ascii", "replace").split()
    wrong = [name for name in names if not _PICTURE.fullmatch(name)]
    if wrong or not names:
        raise refuse(f"{wrong[0]!r} is not the name of a picture" if wrong else "the list is empty")
    if len(set(names)) != len(names):
        raise refuse("it names a picture twice")
    return names
