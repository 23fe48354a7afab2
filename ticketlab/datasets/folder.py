"""Image folders: DIR/train/<class>/ and DIR/test/<class>/ (or val/), or DIR/<class>/ of which a tenth is set aside as test."""

from __future__ import annotations

from pathlib import Path

import torch

from ticketlab.datasets import class_folders
from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import Split
from ticketlab.datasets.pictures import open_square, refuse_many
from ticketlab.errors import DataError
from ticketlab.randomness import Key

_TEST_FOLDERS = ("test", "val")
"""Where the test pictures are; of both, the first counts."""

_TEST_KEY = Key(0, ("imagefolder", "test"))

Listing = dict[str, list[Path]]
"""Class name to its pictures, both sorted by name."""


def read(source: Path, size: int) -> tuple[dict[SplitName, Split], tuple[str, ...]]:
    """Both splits as images of `size` x `size` pixels, and the class names (folder names, sorted).

    Pictures are cut to the centre square and resized with antialiased bilinear filtering; they stay gray if all are,
    else all become RGB. DataError for a folder without pictures, unequal classes in train and test, a bad picture, or a
    link that leads nowhere.
    """
    listings = _listings(source)
    names = tuple(listings["train"])
    count = sum(len(paths) for listing in listings.values() for paths in listing.values())
    refuse_many(count, 3 * size**2, str(source))
    splits, grays = {}, []
    for split, listing in listings.items():
        labels = [label for label, paths in enumerate(listing.values()) for _ in paths]
        images = torch.empty((len(labels), 3, size, size), dtype=torch.uint8)
        for index, path in enumerate(path for paths in listing.values() for path in paths):
            pixels, gray = open_square(path, size, str(path))
            images[index] = pixels
            grays.append(gray)
        splits[split] = Split(images, torch.tensor(labels, dtype=torch.int64))
    if all(grays):
        splits = {split: Split(part.images[:, :1].contiguous(), part.labels) for split, part in splits.items()}
    return splits, names


def passed_over(source: Path) -> list[str]:
    """What `read` takes no notice of, by its path from `source` on; hidden names aside."""
    return class_folders.passed_over(source, _splits(source))


def _listings(source: Path) -> dict[SplitName, Listing]:
    """The pictures of both splits."""
    if not source.is_dir():
        raise DataError("there is no such folder", where=str(source))
    splits = _splits(source)
    if splits:
        train, test = (_listing(source / split) for split in splits)
        if train.keys() != test.keys():
            odd = ", ".join(sorted(train.keys() ^ test.keys()))
            raise DataError(f"{' and '.join(splits)} have different classes: {odd}", where=str(source))
        return {"train": train, "test": test}
    return _set_aside(_listing(source))


def _splits(source: Path) -> tuple[str, ...]:
    """The folders of the two splits; none where the pictures are not divided."""
    tests = [name for name in _TEST_FOLDERS if (source / name).is_dir()]
    return ("train", tests[0]) if tests and (source / "train").is_dir() else ()


def _listing(folder: Path) -> Listing:
    """The pictures of each class folder; every class must have one."""
    return {
        name: [folder / name / picture for picture in class_folders.pictures_in(folder / name)]
        for name in class_folders.classes_in(folder)
    }


def _set_aside(listing: Listing) -> dict[SplitName, Listing]:
    """A tenth of each class (at least one picture) as test, drawn by a fixed key; the rest as train."""
    train: Listing = {}
    test: Listing = {}
    for name, paths in listing.items():
        if len(paths) < 2:
            raise DataError(f"class {name} has one picture; two are needed to set one aside for testing")
        order = torch.randperm(len(paths), generator=_TEST_KEY.of(name).generator()).tolist()
        chosen = set(order[: max(1, len(paths) // 10)])
        test[name] = [path for index, path in enumerate(paths) if index in chosen]
        train[name] = [path for index, path in enumerate(paths) if index not in chosen]
    return {"train": train, "test": test}
