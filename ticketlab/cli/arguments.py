"""The arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="A spec, e.g. specs/quickstart.yaml.")]
SpecFiles = Annotated[list[Path], typer.Argument(metavar="SPEC...", help="One or more specs.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the spec, e.g. --set train.steps=2000."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"] | None,
    typer.Option("--device", help="Where to compute; as `compute.device`."),
]
CrewName = Annotated[
    str, typer.Option("--crew", metavar="NAME", help="Who performs the steps; `alone` is this process.")
]


def overrides(changes: list[str] | None, device: str | None = None) -> tuple[str, ...]:
    """The overrides of a command line in the order they apply."""
    return (*(changes or ()), *((f"compute.device={device}",) if device else ()))
