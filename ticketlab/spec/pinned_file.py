"""A file of the user's that a choice needs: where it lies is this machine's business, what is in it the spec fixes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ticketlab.spec.section import NoEffect, Section


class PinnedFile(Section):
    """A file by its sha256. Any choice that needs one is a pinned file itself, or has fields that are.

    Whoever is made by the choice's `made_by` finds in `file` the absolute path of a file that was checked. In smoke runs
    noise stands in for files that are not there: `noise_by` names a function (options) -> tensors by name, in the
    layout of the file. The start of a model and a ticket are laid out as the model is, and name none.
    """

    noise_by: ClassVar[str] = ""

    file: Annotated[str, NoEffect("where the file lies on this machine; its sha256 says what is in it")] = Field(
        min_length=1,
        max_length=1000,
        description="Path of the file, from the project's folder on, or its name in data/weights/. Does not affect results.",
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the file, 64 lower-case hexadecimal digits.")
