"""The kinds of label a dataset can have, and how packages add others; what is done with each is in `ticketlab.datasets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ticketlab.errors import DataError
from ticketlab.spec.section import Choice, family


class LabelKind(Choice):
    """A kind of label. No spec asks for one: a dataset has it, and a task learns from it (`Task.labels`).

    Both call it by its name, which is all that dataset.json says of it, so it has no fields beside `kind`. `made_by`
    names a function (kind) -> Labelling (ticketlab/datasets/labels.py); `about` says what an image has of it.
    """


class Classes(LabelKind):
    """One class for each image."""

    made_by: ClassVar[str] = "ticketlab.datasets.labels:one_class"
    about: ClassVar[str] = "a class for each image"

    kind: Literal["class"] = Field(default="class", description="One class per image.")


class Maps(LabelKind):
    """One class for each pixel, or none."""

    made_by: ClassVar[str] = "ticketlab.datasets.labels:class_map"
    about: ClassVar[str] = "a map for each image"

    kind: Literal["map"] = Field(default="map", description="One class per pixel, or none.")


if TYPE_CHECKING:
    Labels = LabelKind
else:
    Labels = family("labels", "kind", Classes, Maps)


def label_kinds() -> dict[str, LabelKind]:
    """Every kind of label by its name: the lab's own, and those that installed packages register."""
    return {kind.name: kind for kind in (member() for member in Labels.members())}  # type: ignore[attr-defined]


def label_kind(name: str, where: str = "") -> LabelKind:
    """The kind of label of that name; DataError, about what is at `where`, if no installed package has it."""
    kinds = label_kinds()
    if name not in kinds:
        raise DataError(
            f"there is no kind of label {name!r}; there are {', '.join(kinds)}",
            where=where,
            mend="install the package that registers it under the entry points `ticketlab.labels`",
        )
    return kinds[name]
