"""The datasets a spec may name: the known ones, and those that were added to the project."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ticketlab.errors import DataError, SpecError
from ticketlab.spec.class_names import CIFAR10, CIFAR100, CLOTHES, TINY_IMAGENET, VOC
from ticketlab.spec.labelling import label_kind

PINS = Path("specs", "datasets.json")
"""Where a project keeps the sha256 of the datasets that DVC has."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What a dataset may be called."""


@dataclass(frozen=True)
class Pinned:
    """What the pack of a known dataset must be: sha256 of each split's file, mean and std of the training pixels."""

    train: str
    test: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class DatasetFacts:
    """What can be said about a dataset without opening it: shape, counts (images), kind of label, licence, source."""

    name: str
    about: str
    channels: int
    size: int
    classes: int
    train: int
    test: int
    licence: str
    source: str
    labels: str = "class"
    class_names: tuple[str, ...] = ()
    pinned: Pinned | None = None
    streamed: bool = False
    """Whether its pictures are opened one by one as they are needed, cut to whatever size a spec asks for."""


_KNOWN = (
    DatasetFacts(
        name="fashion-mnist-mini",
        about="a balanced tenth of Fashion-MNIST: the first 600 training and 100 test images of each class",
        channels=1,
        size=28,
        classes=10,
        train=6_000,
        test=1_000,
        licence="MIT (Expat)",
        source="Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747; a subset of the original files",
        class_names=CLOTHES,
        pinned=Pinned(
            train="b542cf824a614d4c011fc4493e08b572ff283cef30e5ace97ce0144ed2da36f8",
            test="8d1604a601591c6176ad2017d22cc2efb618a0cf38cfb58c4d5d11dd2379d3f9",
            mean=(0.286914936,),
            std=(0.3537792666,),
        ),
    ),
    DatasetFacts(
        name="fashion-mnist",
        about="photographs of clothes, gray, 28 pixels",
        channels=1,
        size=28,
        classes=10,
        train=60_000,
        test=10_000,
        licence="MIT (Expat)",
        source="Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747",
        class_names=CLOTHES,
        pinned=Pinned(
            train="0c75a46f8793a376fefc60fb9f4fd7ddc18317fb74a8d759bc2a67fba6af5c90",
            test="e6b2a7e68e050a95678c5e5ca1ad8d888ee812999295626cc82c6edf47f1848d",
            mean=(0.286040597,),
            std=(0.3530242445,),
        ),
    ),
    DatasetFacts(
        name="mnist",
        about="handwritten digits, gray, 28 pixels",
        channels=1,
        size=28,
        classes=10,
        train=60_000,
        test=10_000,
        licence="CC BY-SA 3.0",
        source="LeCun, Bottou, Bengio and Haffner 1998; digits collected by NIST",
        class_names=tuple("0123456789"),
        pinned=Pinned(
            train="378c1f0a185cd8b7395a6fb9c2a71d0b1cdbbba7841626918027362e307c8569",
            test="00a890c76e829e8703d2534e7ded1edc2684a7b0394ac0224477df06b0da1a71",
            mean=(0.1306604763,),
            std=(0.3081078039,),
        ),
    ),
    DatasetFacts(
        name="cifar10",
        about="photographs of ten kinds of animals and vehicles, colour, 32 pixels",
        channels=3,
        size=32,
        classes=10,
        train=50_000,
        test=10_000,
        licence="none stated by the authors",
        source="Krizhevsky 2009, Learning multiple layers of features from tiny images",
        class_names=CIFAR10,
        pinned=Pinned(
            train="ba4bcbed34dc768bca271c688172505458f3212b34f2f0bc71b55efaa409763b",
            test="305afdbb1b63c11839443135d17d07203410c7f108935b6ac58380a693287413",
            mean=(0.4913996786, 0.4821584084, 0.4465309144),
            std=(0.2470322325, 0.243485128, 0.2615878417),
        ),
    ),
    DatasetFacts(
        name="cifar100",
        about="photographs of a hundred kinds of things, colour, 32 pixels",
        channels=3,
        size=32,
        classes=100,
        train=50_000,
        test=10_000,
        licence="none stated by the authors",
        source="Krizhevsky 2009, Learning multiple layers of features from tiny images",
        class_names=CIFAR100,
    ),
    DatasetFacts(
        name="tiny-imagenet",
        about="photographs of two hundred of ImageNet's classes, colour, 64 pixels; its validation images are the test",
        channels=3,
        size=64,
        classes=200,
        train=100_000,
        test=10_000,
        licence="none stated by the authors",
        source="Stanford CS231n, Tiny ImageNet; images of Deng et al. 2009, ImageNet",
        class_names=TINY_IMAGENET,
    ),
    DatasetFacts(
        name="voc2012",
        about="photographs with a class for every pixel, colour, cut to their centre square and brought to 513 pixels; "
        "its validation images are the test",
        channels=3,
        size=513,
        classes=21,
        train=1_464,
        test=1_449,
        licence="Flickr's terms of use",
        source="Everingham et al. 2012, PASCAL VOC 2012, segmentation",
        labels="map",
        class_names=VOC,
    ),
    DatasetFacts(
        name="imagenet",
        about="photographs of a thousand kinds of things, colour, of many sizes; they stay where they are and are opened as "
        "they are needed, cut to 224 pixels or to data.size; its validation images are the test",
        channels=3,
        size=224,
        classes=1_000,
        train=1_281_167,
        test=50_000,
        licence="ImageNet's terms of access: research without commerce",
        source="Russakovsky et al. 2015, arXiv 1409.0575, ILSVRC 2012, classification",
        streamed=True,
    ),
)

KNOWN: dict[str, DatasetFacts] = {entry.name: entry for entry in _KNOWN}
"""The datasets ticketlab knows by name."""


def facts(name: str, project: Path) -> DatasetFacts:
    """What is known about a dataset: from the table, else from the pack that was added to the project.

    SpecError if there is neither, with the names there are and the closest one; DataError if the pack's
    description cannot be read.
    """
    if name in KNOWN:
        return KNOWN[name]
    if NAME.fullmatch(name) and (project / "data" / name / "dataset.json").is_file():
        return _described(project / "data" / name / "dataset.json")
    added = {path.parent.name for path in (project / "data").glob("*/dataset.json")}
    names = [*KNOWN, *sorted(added - KNOWN.keys())]
    close = get_close_matches(name, names, n=1)
    raise SpecError(
        f"there is no dataset {name!r}; there are {', '.join(names)}",
        mend=f"did you mean {close[0]}?"
        if close
        else "add a folder of images with `ticketlab data add imagefolder --from DIR`",
    )


def _described(path: Path) -> DatasetFacts:
    """The facts in the dataset.json of an added pack."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return DatasetFacts(
            name=path.parent.name,
            about=f"added to this project from {found['source']}",
            channels=int(found["channels"]),
            size=int(found["size"]),
            classes=len(found["classes"]),
            train=int(found["counts"]["train"]),
            test=int(found["counts"]["test"]),
            licence=str(found["licence"]),
            source=str(found["source"]),
            labels=label_kind(str(found.get("labels", "class")), where=str(path)).name,
            class_names=tuple(map(str, found["classes"])),
            streamed=found.get("kept") == "index",
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise DataError(
            f"the description of a dataset cannot be read ({type(problem).__name__})",
            where=str(path),
            mend=f"remove the folder {path.parent} and add the dataset again with `ticketlab data add`",
        ) from None
