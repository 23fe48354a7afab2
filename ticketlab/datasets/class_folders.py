"""Folders of pictures, one for each class: what in them is a class, what is a picture, and what is passed over."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ticketlab.errors import DataError, is_line

ENDINGS = (".jpeg", ".jpg", ".png", ".webp")
"""What the name of a picture ends in, in small letters or capitals."""

_LAYOUTS = "give DIR with one folder of pictures per class, or with train/ and test/ (or val/) that have these"


def classes_in(folder: Path) -> list[str]:
    """The names of the class folders in a folder, sorted; hidden ones are none.

    DataError if there are none, for a name that is not text, or for a link that leads nowhere: a class may be behind it.
    """
    entries = _entries(folder) if folder.is_dir() else []
    _refuse_lost(entries)
    names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    for name in names:
        if not is_line(name):
            raise DataError(
                "the name of this class is not text that can be written in a line",
                where=str(folder / name),
                mend="rename the folder",
            )
    if not names:
        raise DataError("there are no class folders", where=str(folder), mend=_LAYOUTS)
    return names


def pictures_in(folder: Path) -> list[str]:
    """The names of the pictures in a class folder, sorted: of the files that have the ending of one.

    DataError if there are none, for something of such a name that is no file, or for a link that leads nowhere.
    """
    entries = _entries(folder)
    _refuse_lost(entries)
    pictures = [entry for entry in entries if _is_called_picture(entry.name)]
    for entry in pictures:
        if not entry.is_file():
            raise DataError("this is called a picture and is no file", where=entry.path, mend="rename or remove it")
    if not pictures:
        raise DataError(
            f"the class folder {folder.name} has no pictures ({', '.join(ENDINGS)})",
            where=str(folder),
            mend=_LAYOUTS,
        )
    return [entry.name for entry in pictures]


def passed_over(source: Path, splits: Sequence[str]) -> list[str]:
    """What in a folder is neither a class nor a picture of one, hidden names aside: paths from `source` on.

    `splits` are the folders in `source` that have the class folders; without any, `source` itself has them.
    """
    others = [entry for entry in _entries(source) if entry.name not in splits] if splits else []
    for folder in [source / split for split in splits] or [source]:
        for entry in _entries(folder):
            if entry.is_dir():
                others += [inner for inner in _entries(Path(entry)) if not _is_called_picture(inner.name)]
            else:
                others.append(entry)
    return [Path(entry).relative_to(source).as_posix() for entry in others]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted by name, without what is hidden; a picture is not, whatever its name begins with."""
    with os.scandir(folder) as found:
        shown = [entry for entry in found if not entry.name.startswith(".") or _is_called_picture(entry.name)]
    return sorted(shown, key=lambda entry: entry.name)


def _is_called_picture(name: str) -> bool:
    return name.lower().endswith(ENDINGS)


def _refuse_lost(entries: list[os.DirEntry[str]]) -> None:
    """DataError, naming the first, for links that lead nowhere: what would be left out, nobody can see."""
    lost = [entry.path for entry in entries if entry.is_symlink() and not Path(entry).exists()]
    if lost:
        raise DataError(
            f"{len(lost)} links of this folder lead to no file; this is the first"
            if len(lost) > 1
            else "this link leads to no file",
            where=lost[0],
            mend="get the files that are annexed or kept elsewhere (`git annex get`, `dvc pull`), or remove the link",
        )
