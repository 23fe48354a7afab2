"""Tiny ImageNet from its original files, as the folder tiny-imagenet-200 or as the .zip with it."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import Split
from ticketlab.datasets.pictures import open_square, refuse_many
from ticketlab.datasets.tree import Tree, find
from ticketlab.errors import DataError
from ticketlab.spec.class_names import TINY_IMAGENET

FOLDER = "tiny-imagenet-200"
ARCHIVE = f"{FOLDER}.zip"
URL = f"http://cs231n.stanford.edu/{ARCHIVE}"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"

SIDE = 64
_ANNOTATIONS = "val/val_annotations.txt"
_VALIDATION = re.compile(r"val_[0-9]+\.JPEG")
_MOST_LIST = 1 << 22
_MOST_PICTURE = 1 << 20
_LABELS = {number: label for label, number in enumerate(TINY_IMAGENET)}

Listing = list[tuple[str, int]]
"""Files and their labels, in the order of the split."""


def read(source: Path) -> dict[SplitName, Split]:
    """Both splits, 64 x 64 pixels in colour, labelled by the sorted WordNet numbers; the validation images are the test.

    DataError if a file is absent or not what it should be, or for a class that Tiny ImageNet does not have.
    """
    tree = find(source, FOLDER, ARCHIVE, "wnids.txt")
    return {"train": _read_listing(tree, _training(tree)), "test": _read_listing(tree, _validation(tree))}


def _training(tree: Tree) -> Listing:
    """Class after class, the files of each by name."""
    listing: Listing = []
    for number in sorted(_text(tree, "wnids.txt").split()):
        folder, own = f"train/{number}/images", re.compile(rf"{re.escape(number)}_[0-9]+\.JPEG")
        label = _label(number, tree.where("wnids.txt"))
        pictures = [(f"{folder}/{name}", label) for name in tree.inside(folder) if own.fullmatch(name)]
        if not pictures:
            raise DataError("the class has no pictures", where=tree.where(folder))
        listing += pictures
    if not listing:
        raise DataError("it names no class", where=tree.where("wnids.txt"))
    return listing


def _validation(tree: Tree) -> Listing:
    """The annotated files in the order of their annotations: a name and a class, then a box that is not read."""
    where = tree.where(_ANNOTATIONS)
    listing: Listing = []
    for line in _text(tree, _ANNOTATIONS).splitlines():
        name, _, rest = line.partition("\t")
        if not _VALIDATION.fullmatch(name):
            raise DataError(f"{name[:40]!r} is not the name of a validation picture", where=where)
        listing.append((f"val/images/{name}", _label(rest.partition("\t")[0], where)))
    if not listing or len({name for name, _ in listing}) != len(listing):
        raise DataError("it names a picture twice" if listing else "it names no picture", where=where)
    return listing


def _label(number: str, where: str) -> int:
    if number not in _LABELS:
        raise DataError(f"{number[:40]!r} is not a class of Tiny ImageNet", where=where)
    return _LABELS[number]


def _text(tree: Tree, name: str) -> str:
    return tree.read(name, _MOST_LIST).decode("ascii", "replace")


def _read_listing(tree: Tree, listing: Listing) -> Split:
    refuse_many(len(listing), 3 * SIDE**2, str(tree.place))
    images = torch.empty((len(listing), 3, SIDE, SIDE), dtype=torch.uint8)
    for index, (name, _) in enumerate(listing):
        images[index], _ = open_square(tree.read(name, _MOST_PICTURE), SIDE, tree.where(name))
    return Split(images, torch.tensor([label for _, label in listing], dtype=torch.int64))
