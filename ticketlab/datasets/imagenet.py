"""ImageNet (ILSVRC 2012) from a folder in the original layout, or any photographs laid out like it: an index is made, nothing is copied."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ticketlab.datasets import class_folders
from ticketlab.datasets.index import lines
from ticketlab.datasets.install import install
from ticketlab.datasets.manifest import Manifest, SplitName, pack_folder, refuse_unlike
from ticketlab.datasets.places import put_link
from ticketlab.errors import DataError
from ticketlab.spec.catalog import KNOWN

FOLDERS: dict[SplitName, str] = {"train": "train", "test": "val"}
"""Each with a folder of pictures per class, called by its WordNet number."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the training pixels, as all who train on ImageNet have them; to count them would take a day."""


def add(project: Path, name: str, source: Path) -> Manifest:
    """Write data/NAME/ (dataset.json and an index per split) and link the pictures; the labels are the sorted folders.

    Every file is read once for its sha256. The same files give the same index on every machine. DataError if the layout
    is another, train and val have different classes, or `name` is a known dataset's and these are not its pictures.
    """
    classes = class_folders.classes_in(_folder(source, FOLDERS["train"]))
    if class_folders.classes_in(_folder(source, FOLDERS["test"])) != classes:
        raise DataError("train and val have different classes", where=str(source))
    known = KNOWN.get(name)
    if known and len(classes) != known.classes:
        raise DataError(
            f"{name} has {known.classes} classes, and here are {len(classes)}",
            where=str(source),
            mend="give a part of it a name of its own with --name NAME",
        )
    contents = {split: lines(source, folder, classes) for split, folder in FOLDERS.items()}
    manifest = Manifest.model_validate(
        {
            "name": name,
            "channels": 3,
            "size": KNOWN["imagenet"].size,
            "classes": tuple(classes),
            "counts": {split: content.count(b"\n") - 1 for split, content in contents.items()},
            "mean": MEAN,
            "std": STD,
            "licence": known.licence if known else "not stated",
            "source": known.source if known else "photographs in folders laid out like ImageNet's",
            "sha256": {split: hashlib.sha256(content).hexdigest() for split, content in contents.items()},
            "kept": "index",
        }
    )
    if known:
        refuse_unlike(manifest, known, str(source))
    install(pack_folder(project, name), manifest, contents)
    put_link(project, name, source)
    return manifest


def passed_over(source: Path) -> list[str]:
    """What `add` takes no notice of, by its path from `source` on; hidden names aside."""
    return class_folders.passed_over(source, tuple(FOLDERS.values()))


def _folder(source: Path, name: str) -> Path:
    """A split's folder; where it is still packed up, that is said."""
    if (source / name).is_dir():
        return source / name
    packed = sorted(path.name for path in source.glob("ILSVRC2012_img_*.tar")) if source.is_dir() else []
    mend = (
        f"unpack {' and '.join(packed)} into train/<class>/ and val/<class>/"
        if packed
        else "train/<class>/ and val/<class>/"
    )
    raise DataError(f"there is no folder {name}", where=str(source), mend=mend)
