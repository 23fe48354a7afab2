"""`ticketlab data`: adding datasets to a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Datasets: add one to the project.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Datasets: add one to the project."""


@app.command()
def add(
    source: Annotated[
        str,
        typer.Argument(help="Which dataset (`ticketlab datasets` lists them), or `imagefolder` for your own images."),
    ],
    origin: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Folder or archive with the original files; default: download. Of an image folder: train/CLASS/ and "
            "test/CLASS/ (or val/CLASS/), else CLASS/, of each of which a tenth is set aside as the test split.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the dataset in specs; default: the source's.")] = None,
    size: Annotated[int | None, typer.Option(help="Side in pixels that an image folder is brought to.")] = None,
) -> None:
    """Pack a dataset, or an index of one that is streamed, into data/<name>/ and version it with DVC."""
    from ticketlab.datasets.pins import write_pins
    from ticketlab.datasets.sources import add as add_dataset
    from ticketlab.datasets.sources import passed_over
    from ticketlab.run.project import Project
    from ticketlab.tracking import dvc

    root = Project.around(Path.cwd()).root
    versioned = dvc.is_repository(root) and not dvc.inside_stage()
    if versioned and (root / "data.dvc").is_file():
        # What is versioned but not here yet would otherwise be taken for removed.
        dvc.pull(root, "data.dvc")
    manifest = add_dataset(source, root, origin, as_name=name, size=size)
    write_pins(root)
    counts = manifest.counts
    print(f"data/{manifest.name}: {counts['train']} training and {counts['test']} test images")
    others = passed_over(source, origin)
    if others:
        some = ", ".join(repr(path) for path in others[:3]) + (", ..." if len(others) > 3 else "")
        print(f"passed over, as neither class folders nor pictures by their ending: {len(others)} ({some})")
    if manifest.kept == "index":
        print("an index of them; the pictures stay where they are, and DVC has no copy")
    if versioned:
        dvc.add(root, ["data"])
        shared = "the images" if manifest.kept == "pack" else "the index"
        print(f"versioned: data.dvc (commit it; `dvc push` shares {shared})")
