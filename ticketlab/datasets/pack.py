"""Packs: a dataset as two safetensors files and a description, written whole or not at all, read only if unaltered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ticketlab.datasets.install import install
from ticketlab.datasets.labels import CLASSES, Labelling, labelling_of
from ticketlab.datasets.manifest import (
    Manifest,
    SplitName,
    how_to_get,
    missing,
    pack_folder,
    read_manifest,
    refuse_unlike,
)
from ticketlab.errors import DataError
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.labelling import label_kind

SPLITS: tuple[SplitName, SplitName] = ("train", "test")
_HEADER_ROOM = 4096


@dataclass(frozen=True, eq=False)
class Split:
    """Images uint8 (N, C, H, W) and their labels (N, ...), in file order; `labelling` is the kind of label."""

    images: Tensor
    labels: Tensor
    labelling: Labelling = CLASSES


def write_pack(
    project: Path,
    name: str,
    splits: Mapping[SplitName, Split],
    *,
    class_names: tuple[str, ...],
    licence: str,
    source: str,
) -> Manifest:
    """Write data/NAME/ whole or not at all, in place of an older one; the same images give the same bytes.

    DataError if the name is a known dataset's and the images are not its images: then nothing is written.
    """
    folder = pack_folder(project, name)
    contents = {split: _serialised(splits[split], len(class_names)) for split in SPLITS}
    _, channels, size, _ = splits["train"].images.shape
    if splits["test"].images.shape[1:] != splits["train"].images.shape[1:]:
        raise DataError("training and test images differ in shape", where=name)
    kind = label_kind(splits["train"].labelling.kind, where=name).name
    if splits["test"].labelling.kind != kind:
        raise DataError("training and test images differ in the kind of their labels", where=name)
    mean, std = moments(splits["train"].images)
    manifest = Manifest.model_validate(
        {
            "name": name,
            "channels": channels,
            "size": size,
            "labels": kind,
            "classes": class_names,
            "counts": {split: len(splits[split].labels) for split in SPLITS},
            "mean": mean,
            "std": std,
            "licence": licence,
            "source": source,
            "sha256": {split: hashlib.sha256(content).hexdigest() for split, content in contents.items()},
        }
    )
    if name in KNOWN:
        refuse_unlike(manifest, KNOWN[name], "the images given")
    install(folder, manifest, contents)
    return manifest


def read_split(
    project: Path, name: str, split: SplitName, *, check: bool = True, manifest: Manifest | None = None
) -> Split:
    """One split of a pack, on the CPU; `manifest` is what it has to be, by default what the pack says of itself.

    With `check` the sha256 of the bytes that are read is compared with the manifest's, and the manifest's pixel
    moments with those of the training images. DataError if the file is missing, truncated, altered or misdescribed.
    """
    manifest = manifest or read_manifest(project, name)
    path = pack_folder(project, name) / manifest.files[split]
    if not path.is_file():
        raise missing(project, name)
    count = manifest.counts[split]
    labelling = labelling_of(manifest.labels)
    expected = count * (manifest.channels * manifest.size**2 + labelling.bytes_each(manifest.shape))
    if not expected <= path.stat().st_size <= expected + _HEADER_ROOM:
        raise _altered(path, name, f"{path.stat().st_size} bytes long, where about {expected} are expected")
    content = path.read_bytes()
    if check and hashlib.sha256(content).hexdigest() != manifest.digest(split):
        raise _altered(path, name, "its sha256 is not the one in the description")
    found = _deserialised(content, labelling, path, name)
    if tuple(found.images.shape) != (count, manifest.channels, manifest.size, manifest.size):
        raise _altered(path, name, "its images have another shape than the description says")
    _check_split(found, len(manifest.classes), str(path))
    if check and split == "train" and moments(found.images) != (manifest.mean, manifest.std):
        raise _altered(path, name, "the mean and std in its description are not those of its images")
    return found


def moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per-channel mean and standard deviation of uint8 images (N, C, H, W) as pixels in [0, 1], to 10 digits.

    Computed from exact counts of the 256 pixel values, so they are the same on every machine.
    """
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = torch.bincount(images[:, channel].reshape(-1), minlength=256).tolist()
        total = sum(counts)
        mean = Fraction(sum(value * count for value, count in enumerate(counts)), 255 * total)
        square = Fraction(sum(value**2 * count for value, count in enumerate(counts)), 255**2 * total)
        means.append(round(float(mean), 10))
        deviations.append(round(sqrt(square - mean**2), 10))
    return tuple(means), tuple(deviations)


def _check_split(split: Split, classes: int, where: str) -> None:
    """DataError unless the tensors are a split: square images of bytes, and labels that can be theirs."""
    images = split.images
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[2] != images.shape[3]:
        raise DataError("images must be uint8 (N, C, H, W) and square", where=where)
    if not len(images):
        raise DataError("there must be some images", where=where)
    split.labelling.check(split.labels, images, classes, where)


def _serialised(split: Split, classes: int) -> bytes:
    """A checked split as the bytes of a safetensors file."""
    _check_split(split, classes, "the images given")
    return safetensors.torch.save({"images": split.images.contiguous(), "labels": split.labels.contiguous()})


def _deserialised(content: bytes, labelling: Labelling, path: Path, name: str) -> Split:
    """The split in the bytes of a safetensors file."""
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as problem:
        raise _altered(path, name, f"it is not a safetensors file ({problem})") from None
    if tensors.keys() != {"images", "labels"}:
        raise _altered(path, name, "it does not hold images and labels")
    return Split(tensors["images"], tensors["labels"], labelling)


def _altered(path: Path, name: str, how: str) -> DataError:
    """The error for a pack file that is not the one that was written."""
    return DataError(
        f"this file is not the one that was packed: {how}",
        where=str(path),
        mend=f"remove {path.parent} and get the dataset again with `{how_to_get(name)}`",
    )
