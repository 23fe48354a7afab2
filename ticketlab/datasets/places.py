"""Where the pictures of a streamed dataset lie on this machine: a link, which neither git nor DVC has."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from ticketlab.datasets.manifest import how_to_get
from ticketlab.errors import DataError
from ticketlab.spec.catalog import facts


def link_of(project: Path, name: str) -> Path:
    """The link to a dataset's pictures."""
    return project / ".ticketlab" / "images" / name


def put_link(project: Path, name: str, folder: Path) -> None:
    """Have the pictures of a dataset found in a folder from now on."""
    link = link_of(project, name)
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{name}.{uuid4().hex}")
    fresh.symlink_to(folder.resolve(), target_is_directory=True)
    fresh.replace(link)


def pictures_of(project: Path, name: str) -> Path:
    """The folder of a dataset's pictures; DataError if it is not on this machine, or not where it was."""
    link = link_of(project, name)
    if not link.is_dir():
        raise DataError(
            f"the pictures of {name} are not on this machine",
            where=str(link),
            mend=f"`{how_to_get(name)}`, DIR being where they are: equal files give the index that is here already",
        )
    return link.resolve()


def are_pictures_here(project: Path, name: str) -> bool:
    """Whether nothing but a dataset's folder in `data/` is needed, or the pictures of its index are there as well."""
    return not facts(name, project).streamed or link_of(project, name).is_dir()
