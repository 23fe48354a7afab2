"""Turning what Pydantic or a cross-section check found wrong with a spec into one readable screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import NoneType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ticketlab.errors import SpecError
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.language import ROOT, Kind, Place, child, fitting, inside, is_section, place_at, tag_key, tag_of
from ticketlab.spec.positions import Mark, Path, Positions, dotted
from ticketlab.spec.quoting import code, printable
from ticketlab.spec.wording import allowed, closest, found, meant_key, meant_value, section_meant

MOST_SHOWN = 8
"""Problems on one screen; the rest are counted."""

MISSING = "missing"
_UNKNOWN = "no such key"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec: where, what was found, what is allowed there, what to do."""

    path: Path
    what: str
    allowed: str = ""
    mend: str = ""
    at_key: bool = False
    """Whether it is the key that is wrong, not its value."""

    def lines(self, positions: Positions) -> list[str]:
        """The problem as two or three lines; the first starts with its position."""
        subject = ".".join(printable(str(step))[:60] for step in self.path)
        lines = [f"{positions.where(self.path, key=self.at_key)}: {f'{subject}: ' if subject else ''}{self.what}"]
        if self.allowed:
            lines.append(f"     allowed: {self.allowed}")
        if self.mend:
            lines.append(f"  -> {self.mend}")
        return lines


class Problems(SpecError):
    """All that is wrong with a spec, in the order of the file."""

    def __init__(self, problems: Iterable[Problem], positions: Positions, note: str = "") -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: _place(problem, positions)))
        shown = [line for problem in self.problems[:MOST_SHOWN] for line in problem.lines(positions)]
        if len(self.problems) > 1:
            shown.insert(0, f"{positions.file}: {len(self.problems)} problems")
        if len(self.problems) > MOST_SHOWN:
            shown.append(f"and {len(self.problems) - MOST_SHOWN} more")
        if note:
            shown.append(f"  {note}")
        super().__init__("\n".join(shown))


def _place(problem: Problem, positions: Positions) -> Mark:
    return positions.order(problem.path, key=problem.at_key)


def spec_error(error: ValidationError | Impossible, data: Any, positions: Positions, note: str = "") -> Problems:
    """The error to show for raw values `data` that were refused; `note` is added as the last line."""
    if isinstance(error, Impossible):
        # What sections say of each other may hold text of the file: names of networks, of datasets.
        what, mend = printable(error.what), printable(error.mend)
        return Problems([Problem(error.path, what, mend=mend)], positions, note)
    return Problems(problems(error, data), positions, note)


def problems(error: ValidationError, data: Any) -> list[Problem]:
    """One problem for each place, the innermost of each branch; a misspelt key swallows the missing key it means."""
    by_path: dict[Path, Problem] = {}
    for detail in error.errors(include_url=False):
        problem = _problem(detail, data)
        if problem.path not in by_path or not problem.allowed:
            by_path[problem.path] = problem
    inner = {path[:length] for path in by_path for length in range(len(path))}
    kept = {path: problem for path, problem in by_path.items() if path not in inner}
    missing = {path for path, problem in kept.items() if problem.what == MISSING}
    for path, problem in list(kept.items()):
        names = [str(other[-1]) for other in missing if other[:-1] == path[:-1]]
        near = closest(str(path[-1]), names) if problem.what == _UNKNOWN else None
        if near is not None:
            kept.pop((*path[:-1], near), None)
            meant = place_at((*path[:-1], near), data) or ROOT
            kept[path] = Problem(path, _UNKNOWN, mend=f"did you mean {code(near)}? {meant.about}".strip(), at_key=True)
    return list(kept.values())


def _problem(detail: ErrorDetails, data: Any) -> Problem:
    path = _walked(detail["loc"], data)
    kind = detail["type"]
    if kind == "extra_forbidden":
        around = place_at(path[:-1], data) or ROOT
        section = section_meant(around, _at(data, path[:-1]))
        return Problem(path, _UNKNOWN, mend=meant_key(path, section, around) if section else "", at_key=True)
    if kind == "missing" and isinstance(path[-1], str):
        return _missing(path, data)
    if kind == "missing":
        path = path[:-1]
    place = place_at(path, data) or Place(())
    if kind == "value_error":
        return Problem(path, str(detail["ctx"]["error"]))
    if kind in ("union_tag_invalid", "union_tag_not_found") and isinstance(_at(data, path), dict):
        key = tag_key(place) or ""
        tag = (*path, key)
        if key not in _at(data, path):
            near = closest(key, map(str, _at(data, path)))
            return _misspelt((*path, near), key) if near else _missing(tag, data)
        path, place = tag, _tags(place, key)
    value = _at(data, path)
    return Problem(path, f"found {found(value)}", allowed=_with_meaning(place), mend=meant_value(value, place))


def _misspelt(path: Path, key: str) -> Problem:
    """The key that tells the members of a family apart, written wrongly: nothing else can be judged before it is right."""
    return Problem(path, _UNKNOWN, mend=f"did you mean `{key}`?", at_key=True)


def _missing(path: Path, data: Any) -> Problem:
    around = place_at(path[:-1], data) or ROOT
    place = _tags(around, str(path[-1])) if path[-1] == tag_key(around) else place_at(path, data) or Place(())
    parent = f"under `{dotted(path[:-1])}`" if path[:-1] else "to the spec"
    return Problem(path, MISSING, allowed=_with_meaning(place), mend=f"add `{path[-1]}:` {parent}", at_key=True)


def _tags(family: Place, key: str) -> Place:
    """What may stand at the key that tells the members of a family apart."""
    kinds = [kind for section in family.sections if key in section.model_fields for kind in _field_kinds(section, key)]
    return Place(tuple(kinds), family.field)


def _field_kinds(section: Any, key: str) -> tuple[Kind, ...]:
    place = inside(Kind(section), key, ROOT)
    return place.kinds if place else ()


def _with_meaning(place: Place) -> str:
    return f"{allowed(place)} ({place.about.rstrip('.')})" if place.about else allowed(place)


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = child(data, step)
    return data


def _walked(location: tuple[str | int, ...], data: Any) -> Path:
    """The path in the spec that Pydantic's location means: its labels of union branches left out."""
    path: Path = ()
    here = ROOT
    for step in location:
        kinds = [kind for kind in here.kinds if kind.type is not NoneType]
        if len(kinds) > 1:  # Pydantic names the branch before what is inside it
            named = [kind for kind in kinds if _label(kind) == step]
            here = Place(tuple(named or fitting(here, data)[:1]), here.field)
            continue
        here = (inside(kinds[0], step, here) if kinds else None) or Place(())
        path, data = (*path, step), child(data, step)
    return path


def _label(kind: Kind) -> str | None:
    tag = tag_of(kind.type) if is_section(kind.type) else None
    return tag[1] if tag else getattr(kind.type, "__name__", None)
