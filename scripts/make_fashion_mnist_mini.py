"""Make the pack data/fashion-mnist-mini: a balanced tenth of Fashion-MNIST out of the four original files."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ticketlab.datasets import idx
from ticketlab.datasets.pack import Split, write_pack
from ticketlab.spec.catalog import KNOWN

TRAIN_PER_CLASS = 600
TEST_PER_CLASS = 100


def first_of_each_class(split: Split, count: int) -> Split:
    """The first `count` images of each class, kept in file order."""
    labels = split.labels
    kept = torch.cat([(labels == label).nonzero().squeeze(1)[:count] for label in torch.unique(labels)]).sort().values
    return Split(split.images[kept], labels[kept])


def main() -> None:
    """Read the original files, write the pack, say what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "source",
        type=Path,
        help="folder with the four original idx files, gzipped or not; the Debian package dataset-fashion-mnist "
        "installs it under share/datasets/fashion-mnist",
    )
    parser.add_argument("project", type=Path, nargs="?", default=Path(), help="project folder (default: this one)")
    given = parser.parse_args()
    originals = idx.read(given.source)
    known = KNOWN["fashion-mnist-mini"]
    manifest = write_pack(
        given.project,
        known.name,
        {
            "train": first_of_each_class(originals["train"], TRAIN_PER_CLASS),
            "test": first_of_each_class(originals["test"], TEST_PER_CLASS),
        },
        class_names=known.class_names,
        licence=known.licence,
        source=known.source,
    )
    print(f"{known.name}: {manifest.counts['train']} training and {manifest.counts['test']} test images")
    for split in ("train", "test"):
        print(f"  {split}.safetensors sha256 {manifest.sha256[split]}")


if __name__ == "__main__":
    main()
