"""A tree of original files, as a folder, a .tar or a .zip: read by name, never unpacked onto the disk."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticketlab.datasets.archive import read_file
from ticketlab.errors import DataError

MOST_FILES = 1 << 18
"""Members an archive may have."""

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


class Tree(ABC):
    """Files by their names below one place; names have no `..` because those who ask make them."""

    def __init__(self, place: Path, prefix: str = "") -> None:
        self.place = place
        self._prefix = prefix

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""

    @abstractmethod
    def read(self, name: str, limit: int) -> bytes:
        """The content of a file of at most `limit` bytes; DataError if it is absent, longer or damaged."""

    @abstractmethod
    def inside(self, folder: str) -> list[str]:
        """The names, sorted, of what lies in a folder; none if it is not there."""

    def where(self, name: str) -> str:
        """A file for people."""
        return f"{self.place}/{self._prefix}{name}"


class Folder(Tree):
    """A folder of the disk."""

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return (self.place / name).is_file()

    def read(self, name: str, limit: int) -> bytes:
        """The content of a file."""
        return read_file(self.place / name, limit)

    def inside(self, folder: str) -> list[str]:
        """The names of what lies in a folder."""
        path = self.place / folder
        return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []


class Archive(Tree):
    """The regular files of an archive below `prefix`; a name that is there twice is refused when it is read."""

    def __init__(self, place: Path, prefix: str, names: list[str]) -> None:
        super().__init__(place, prefix)
        own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        self._names = set(own)
        self._twice = self._doubled(own)
        self._folders: dict[str, list[str]] = {}
        for name in sorted(self._names):
            folder, _, last = name.rpartition("/")
            self._folders.setdefault(folder, []).append(last)

    @staticmethod
    def _doubled(names: list[str]) -> set[str]:
        seen: set[str] = set()
        return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return name in self._names

    def inside(self, folder: str) -> list[str]:
        """The names of the files that lie in a folder."""
        return self._folders.get(folder, [])

    def read(self, name: str, limit: int) -> bytes:
        """The content of a file."""
        if name not in self._names:
            raise DataError("there is no such file in the archive", where=self.where(name))
        if name in self._twice:
            raise DataError("the archive has this file twice", where=self.where(name))
        with damage(self.where(name)):
            size, content = self._content(self._prefix + name, limit)
        if size > limit:
            raise DataError(f"the file has {size} bytes where at most {limit} are expected", where=self.where(name))
        if len(content) != size:
            raise DataError("the file is cut off", where=self.where(name), mend="download the archive again")
        return content

    @abstractmethod
    def _content(self, name: str, limit: int) -> tuple[int, bytes]:
        """The length a member says it has, and at most `limit` and one of its bytes."""


class Tar(Archive):
    """An uncompressed .tar."""

    def __init__(self, place: Path, prefix: str) -> None:
        with damage(str(place)):
            self._archive = tarfile.open(fileobj=_Bounded(place), mode="r:")  # noqa: SIM115
            regular: dict[str, list[tarfile.TarInfo]] = {}
            for number, member in enumerate(self._archive):
                if number >= MOST_FILES:
                    raise DataError(f"the archive has more than {MOST_FILES} members", where=str(place))
                if member.isreg() and not member.issparse():
                    regular.setdefault(member.name, []).append(member)
        self._members = {name: members[-1] for name, members in regular.items()}
        super().__init__(place, prefix, [name for name, members in regular.items() for _ in members])

    def _content(self, name: str, limit: int) -> tuple[int, bytes]:
        member = self._members[name]
        handle = self._archive.extractfile(member)
        assert handle is not None, "regular files alone are listed"
        return member.size, handle.read(limit + 1)


class _Bounded(io.BufferedReader):
    """A file of which nobody can ask more than there is: tarfile believes what a header says of its length."""

    def __init__(self, place: Path) -> None:
        super().__init__(io.FileIO(place))
        self._length = place.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """What is left at most."""
        left = max(self._length - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


class Zip(Archive):
    """A .zip."""

    def __init__(self, place: Path, prefix: str) -> None:
        with damage(str(place)):
            self._archive = zipfile.ZipFile(place)
        members = [member for member in self._archive.infolist() if not member.is_dir()]
        if len(members) > MOST_FILES:
            raise DataError(f"the archive has more than {MOST_FILES} members", where=str(place))
        super().__init__(place, prefix, [member.filename for member in members])

    def _content(self, name: str, limit: int) -> tuple[int, bytes]:
        with self._archive.open(name) as handle:
            content = handle.read(limit + 1)
        return self._archive.getinfo(name).file_size, content


@contextmanager
def damage(where: str) -> Iterator[None]:
    """What goes wrong in a damaged archive, said as a DataError."""
    try:
        yield
    except (*_DAMAGE, RuntimeError) as problem:
        raise DataError(f"not a whole archive ({problem})", where=where, mend="download it again") from None


def find(source: Path, folder: str, archive: str, sign: str) -> Tree:
    """The tree of original files in which `sign` is one: `source` itself, `source`/`folder`, or in the archive.

    The archive is `source`, or the file of that name in it, and has the tree below `folder`. DataError if none is there.
    """
    for place in (source, source / Path(folder).name, source / folder):
        if (place / sign).is_file():
            return Folder(place)
    packed = source if source.is_file() else source / archive
    if packed.is_file():
        kind = Zip if packed.suffix == ".zip" else Tar
        tree = kind(packed, f"{folder}/")
        if tree.has(sign):
            return tree
        raise DataError(f"the archive has no file {folder}/{sign}", where=str(packed))
    raise DataError(f"found none of the original files: {folder}/{sign} or {archive}", where=str(source))
