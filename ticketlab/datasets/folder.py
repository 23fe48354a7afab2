"""Image folders: DIR/train/<class>/ and DIR/test/<class>/ (or val/), or DIR/<class>/ of which a tenth is set aside as test."""

from __future__ import annotations

from pathlib import Path

import torch

from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import Split
from ticketlab.datasets.pictures import open_square, refuse_many
from ticketlab.errors import DataError
from ticketlab.randomness import Key

_ENDINGS = {".png", ".jpg", ".jpeg"}
_TEST_FOLDERS = ("test", "val")
"""Where the test pictures are; of both, the first counts."""

_LAYOUTS = "give DIR with one folder of pictures per class, or with train/ and test/ (or val/) that have these"
_TEST_KEY = Key(0, ("imagefolder", "test"))

Listing = dict[str, list[Path]]
"""Class name to its pictures, both sorted by name."""


def read(source: Path, size: int) -> tuple[dict[SplitName, Split], tuple[str, ...]]:
    """Both splits as images of `size` x `size` pixels, and the class names (folder names, sorted).

    Pictures are cut to the centre square and resized with antialiased bilinear filtering; they stay gray if all are,
    else all become RGB. DataError for a folder without pictures, unequal classes in train and test, or a bad picture.
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


def _listings(source: Path) -> dict[SplitName, Listing]:
    """The pictures of both splits."""
    if not source.is_dir():
        raise DataError("there is no such folder", where=str(source))
    tests = next((source / name for name in _TEST_FOLDERS if (source / name).is_dir()), None)
    if (source / "train").is_dir() and tests:
        train, test = _listing(source / "train"), _listing(tests)
        if train.keys() != test.keys():
            odd = ", ".join(sorted(train.keys() ^ test.keys()))
            raise DataError(f"train and {tests.name} have different classes: {odd}", where=str(source))
        return {"train": train, "test": test}
    return _set_aside(_listing(source))


def _listing(folder: Path) -> Listing:
    """The pictures of each class folder; every class must have one."""
    listing = {
        entry.name: sorted(path for path in entry.iterdir() if path.suffix.lower() in _ENDINGS and path.is_file())
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith(".")
    }
    empty = [name for name, paths in listing.items() if not paths]
    if empty or not listing:
        what = f"the class folder {empty[0]} has no .png or .jpg pictures" if empty else "there are no class folders"
        raise DataError(what, where=str(folder), mend=_LAYOUTS)
    return listing


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
