"""Putting a dataset's folder in its place: whole or not at all, over an older one of the same name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ticketlab.datasets.manifest import Manifest, SplitName
from ticketlab.files import sync_folder, write_atomically, write_json


def install(folder: Path, manifest: Manifest, contents: Mapping[SplitName, bytes]) -> None:
    """Write a dataset beside its place, move an older one aside, and rename it there; on failure the older one stays."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    ready, older = staging / "new", staging / "old"
    try:
        for split, content in contents.items():
            write_atomically(ready / manifest.files[split], content)
        # A pack does not say that it is one, as those did not that were made before there was anything else.
        unsaid = {"kept"} if manifest.kept == "pack" else set()
        write_json(ready / "dataset.json", manifest.model_dump(mode="json", exclude=unsaid))
        if folder.exists():
            folder.rename(older)
        try:
            ready.rename(folder)
        except OSError:
            if older.exists() and not folder.exists():
                older.rename(folder)
            raise
        sync_folder(folder.parent)
    finally:
        if folder.exists() or not older.exists():
            shutil.rmtree(staging)
