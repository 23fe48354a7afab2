"""`data.classes`: the classes of a dataset that a spec names, by number, and what is known of their images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.wording import closest

if TYPE_CHECKING:
    from ticketlab.spec.catalog import DatasetFacts
    from ticketlab.spec.positions import Path


def numbers(asked: tuple[int | str, ...], dataset: DatasetFacts, at: Path) -> tuple[int, ...]:
    """The classes by number, in order. Impossible, at the entry, for one that the dataset has not, or that is named twice."""
    if dataset.labels != "class":
        what = f"an image of {dataset.name} does not show one class, so none can be told by it"
        raise Impossible(at, what, mend="remove `classes`")
    found: list[int] = []
    for position, entry in enumerate(asked):
        here = (*at, position)
        number = _called(entry, dataset, here) if isinstance(entry, str) else _within(entry, dataset, here)
        if number in found:
            what = f"class {number} is asked for twice, here and as number {found.index(number) + 1} of the list"
            raise Impossible(here, what, mend="remove one")
        found.append(number)
    return tuple(found)


def narrowed(dataset: DatasetFacts, chosen: tuple[int, ...]) -> DatasetFacts:
    """What is known of the images of these classes; how many there are, only the dataset itself says: at most all."""
    names = tuple(dataset.class_names[number] for number in chosen) if dataset.class_names else ()
    return replace(dataset, classes=len(chosen), class_names=names)


def _within(number: int, dataset: DatasetFacts, at: Path) -> int:
    if not 0 <= number < dataset.classes:
        what = f"{dataset.name} has no class {number}; it has {dataset.classes}"
        raise Impossible(at, what, mend=f"0 to {dataset.classes - 1}")
    return number


def _called(name: str, dataset: DatasetFacts, at: Path) -> int:
    names = dataset.class_names
    if name in names:
        return names.index(name)
    if not names:
        what = f"the names of the classes of {dataset.name} are not known"
        raise Impossible(at, what, mend=f"its number, 0 to {dataset.classes - 1}")
    near = closest(name, names)
    some = ", ".join(names[:3])
    mend = f"did you mean `{near}`?" if near else f"{some}, ... or a number, 0 to {dataset.classes - 1}"
    raise Impossible(at, f"{dataset.name} has no class called `{name}`", mend)
