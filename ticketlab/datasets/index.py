"""Indexes: which pictures a streamed split has, in order, each by label, length, sha256 and path; the pictures stay where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ticketlab.cores import available_cores
from ticketlab.datasets.archive import read_file
from ticketlab.datasets.class_folders import pictures_in
from ticketlab.datasets.manifest import Manifest, SplitName, missing, pack_folder
from ticketlab.datasets.pictures import size_of
from ticketlab.errors import DataError

HEAD = b"label\tbytes\tsha256\tpath\n"
MOST_BYTES = 1 << 27
"""The longest file of a picture."""


@dataclass(frozen=True)
class Picture:
    """One line of an index; `path` is relative to the folder of the pictures."""

    path: str
    length: int
    sha256: str

    def read(self, folder: Path) -> bytes:
        """The bytes of the file, if they are those that were indexed. DataError, naming the file, if not."""
        path = folder / self.path
        try:
            content = read_file(path, self.length)
        except OSError as problem:
            raise DataError(f"this picture cannot be read ({problem})", where=str(path)) from None
        if len(content) != self.length or hashlib.sha256(content).hexdigest() != self.sha256:
            raise DataError(
                "this picture is not the one in the index: its bytes differ",
                where=str(path),
                mend="get the file again, or `ticketlab data add` the folder again as it is now",
            )
        return content


class Index:
    """The pictures of one split in order, `labels` int64 (N,), some hundred bytes each and none of them opened."""

    def __init__(self, content: bytes, classes: int, where: str) -> None:
        """Reads what `lines` wrote. DataError for anything else."""
        self._content = content
        self._where = where
        if not content.startswith(HEAD) or not content.endswith(b"\n"):
            raise self._broken("its first line is not the heading, or its last is cut off")
        ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n"))
        self._begins, self._ends = ends[:-1] + 1, ends[1:]
        try:
            self.labels = torch.tensor([int(line.partition(b"\t")[0]) for line in self._lines()], dtype=torch.int64)
        except (ValueError, OverflowError, RuntimeError):
            raise self._broken("a line does not begin with a label") from None
        if not len(self.labels) or not 0 <= int(self.labels.min()) <= int(self.labels.max()) < classes:
            raise self._broken(f"labels must be 0 to {classes - 1}")

    def picture(self, number: int) -> Picture:
        """One line. DataError if it is not one, or leads out of the folder."""
        fields = self._content[self._begins[number] : self._ends[number]].split(b"\t")
        try:
            _, length, sha256, path = (field.decode() for field in fields)
            found = Picture(path, int(length), sha256)
        except ValueError:
            raise self._broken(f"line {number + 2} has not the four fields of the heading") from None
        if Path(path).is_absolute() or ".." in Path(path).parts or not 0 < found.length <= MOST_BYTES:
            raise self._broken(f"line {number + 2} names no picture of the folder")
        return found

    def _lines(self) -> Iterator[bytes]:
        return (self._content[begin:end] for begin, end in zip(self._begins, self._ends, strict=True))

    def _broken(self, how: str) -> DataError:
        return DataError(f"not an index of pictures: {how}", where=self._where, mend="get it again with `dvc pull`")


def read_index(project: Path, manifest: Manifest, split: SplitName) -> Index:
    """The index of a split, its bytes compared with the manifest's sha256. DataError if it is absent or altered."""
    path = pack_folder(project, manifest.name) / manifest.files[split]
    if not path.is_file():
        raise missing(project, manifest.name)
    content = path.read_bytes()
    found = Index(content, len(manifest.classes), str(path))
    if hashlib.sha256(content).hexdigest() != manifest.digest(split) or len(found.labels) != manifest.counts[split]:
        raise DataError(
            "this is not the index that dataset.json describes", where=str(path), mend="`dvc pull` it again"
        )
    return found


def lines(root: Path, folder: str, classes: Sequence[str]) -> bytes:
    """The index of the pictures in `root`/`folder`/<class>/, class after class, the files of each by name.

    Every file is read, and its first bytes are those of a picture of a bearable size. The same files give the same
    bytes, wherever they lie. DataError for a class without pictures, a file that is none, a link that leads nowhere, or
    a name that is no text.
    """
    parts = [HEAD]
    with ThreadPoolExecutor(available_cores()) as pool:
        for label, name in enumerate(classes):
            paths = [f"{folder}/{name}/{file}" for file in pictures_in(root / folder / name)]
            parts.extend(pool.map(partial(_line, root, label), paths))
    return b"".join(parts)


def _line(root: Path, label: int, path: str) -> bytes:
    where = root / path
    try:
        spelled = path.encode()
    except UnicodeEncodeError:
        raise DataError("the name of this file is not text", where=repr(str(where))) from None
    if b"\t" in spelled or b"\n" in spelled:
        raise DataError("the name of this file has a tab or an end of line in it", where=repr(str(where)))
    content = read_file(where, MOST_BYTES)
    size_of(content, str(where))
    digest = hashlib.sha256(content).hexdigest().encode()
    return b"%d\t%d\t%s\t%s\n" % (label, len(content), digest, spelled)
