"""What every section of a spec is: frozen, closed to unknown keys, every field described; and how open families grow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from ticketlab.errors import EnvironmentProblem

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

Share = Annotated[float, Field(gt=0, le=1)]
"""A share of a whole, in (0, 1]."""

SMOKE_STEPS = 2
"""Length of every training of a smoke run."""


@dataclass(frozen=True)
class NoEffect:
    """Said of a field, as in `Annotated[str, NoEffect("a label")]`: its value can change no result, for that reason."""

    reason: str


def no_effect(field: FieldInfo) -> NoEffect | None:
    """What is said of a field that can change no result; None for one that can."""
    return next((said for said in field.metadata if isinstance(said, NoEffect)), None)


class Section(BaseModel):
    """A piece of a spec; immutable, compared by value, refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, defer_build=True)

    def counting(self) -> dict[str, Any]:
        """The section as plain JSON values, without the fields that can change no result, at any depth."""
        return cast("dict[str, Any]", _counting(self, self.model_dump(mode="json")))


def _counting(value: Any, plain: Any) -> Any:
    """`plain`, the JSON form of `value`, without the fields that have no effect."""
    if isinstance(value, Section):
        fields = type(value).model_fields
        return {
            name: _counting(getattr(value, name), plain[name])
            for name, field in fields.items()
            if no_effect(field) is None
        }
    if isinstance(value, tuple):
        return [_counting(part, inner) for part, inner in zip(value, plain, strict=True)]
    return plain


class Choice(Section):
    """One member of a family (a model, a ticket method, a scope, an objective, an optimiser, a metric).

    A member is this class, which says what may be asked, and one function elsewhere, named in `made_by` as
    `package.module:function`, which does it. The function is imported only when a run needs it; its module (with what
    it imports) is part of the digest of every step that uses it.
    """

    made_by: ClassVar[str]
    about: ClassVar[str]
    source: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """What the spec calls this member: "magnitude", "sngan"."""
        return next(
            str(getattr(self, tag)) for tag in ("kind", "method", "objective") if tag in type(self).model_fields
        )

    def settled(self, spec: Spec, at: Path) -> Self:
        """The choice as it stands at `at` in `spec`: nulls that have a conventional value there replaced by it.

        Raises `Impossible` where it cannot work with the rest.
        """
        return self

    def tiny(self) -> Self:
        """The choice at smoke size: the same kind of work in two training steps; numbers without meaning."""
        return self


class Family:
    """A type annotation that stands for whichever members a family has when the first value of it is checked.

    A value is a mapping whose `tag` names a member, or the name alone where the member needs no further values.
    Members are looked up late, so that a package that registers one may import these modules in any order.
    """

    plural: ClassVar[str]
    tag: ClassVar[str]
    own: ClassVar[tuple[type[Choice], ...]]

    @classmethod
    def members(cls) -> tuple[type[Choice], ...]:
        """The members here and those that installed packages register. EnvironmentProblem for two under one name."""
        return _members(cls.plural, cls.tag, cls.own)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        choices: dict[Any, CoreSchema] = {}
        for member in cls.members():
            name = member.model_fields[cls.tag].default
            choices[name] = _when_named(member)
            if is_name_enough(member):
                choices[_alone(name)] = _by_name(member, name)
        # One union told apart by a function, so that what is wrong inside a member is reported of that member alone.
        return core_schema.tagged_union_schema(choices, cls._told_by)

    @classmethod
    def _told_by(cls, value: Any) -> str | None:
        if isinstance(value, str):
            return _alone(value)
        named = value.get(cls.tag) if isinstance(value, dict) else getattr(value, cls.tag, None)
        return named if isinstance(named, str) else None

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        members: dict[Any, CoreSchema] = {}
        for member in cls.members():
            member.model_rebuild()
            members[member.model_fields[cls.tag].default] = member.__pydantic_core_schema__
        alone = [member.model_fields[cls.tag].default for member in cls.members() if is_name_enough(member)]
        mapping = handler(core_schema.tagged_union_schema(members, cls.tag))
        return {"anyOf": [{"type": "string", "enum": alone}, mapping]} if alone else mapping


def is_name_enough(member: type[Section]) -> bool:
    """Whether a member of a family can be had by its name alone: no field of it is required."""
    return not any(field.is_required() for field in member.model_fields.values())


def _alone(name: str) -> str:
    """The branch of a family in which a name stands for the member with its defaults."""
    return f"{name} by name"


def _when_named(member: type[Choice]) -> CoreSchema:
    """The member, checked by its own schema, which is built when a page first names it: a page names few of many."""

    def checked(value: Any, info: ValidationInfo) -> Choice:
        if isinstance(value, member):  # a default
            return value
        if info.mode == "json":  # JSON knows lists only: read again as JSON, one may stand for a tuple
            return member.model_validate_json(json.dumps(value), strict=True)
        return member.model_validate(value)

    return core_schema.with_info_plain_validator_function(checked)


def _by_name(member: type[Choice], name: str) -> CoreSchema:
    return core_schema.no_info_after_validator_function(lambda _: member(), core_schema.literal_schema([name]))


def family(plural: str, tag: str, *members: type[Choice]) -> Any:
    """The annotation of a family: its own members, two or more, and those that installed packages register.

    `tag` is the key that tells members apart. Packages add members through the entry-point group `ticketlab.<plural>`,
    each entry naming a `Choice`.
    """
    return type(plural, (Family,), {"plural": plural, "tag": tag, "own": members})


@cache
def _entry_points() -> Any:
    """All entry points: they are read from disk, so once for all families."""
    return entry_points()


def _registered(point: EntryPoint, tag: str) -> type[Choice]:
    """The member that an entry point names. EnvironmentProblem if it cannot be loaded, or is no `Choice` with a name."""
    package = point.dist.name if point.dist is not None else "the package that registers it"
    try:
        member = point.load()
    except Exception as problem:  # it runs code of others, which may raise anything
        what = f"{package} cannot be loaded: {type(problem).__name__}: {problem}"
    else:
        if isinstance(member, type) and issubclass(member, Choice) and tag in member.model_fields:
            return member
        what = f"{package} registers {point.value}, which is no Choice (ticketlab/spec/section.py) with a field `{tag}`"
    raise EnvironmentProblem(
        what,
        where=f"{point.name} = {point.value} in {point.group}",
        mend=f"repair {package}, or remove it: pip uninstall {package}",
    )


@cache
def _members(plural: str, tag: str, own: tuple[type[Choice], ...]) -> tuple[type[Choice], ...]:
    points = _entry_points().select(group=f"ticketlab.{plural}")
    everyone = (*own, *(_registered(point, tag) for point in points))
    names = [member.model_fields[tag].default for member in everyone]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise EnvironmentProblem(
            f"two {plural} are registered under one name: {', '.join(sorted(map(str, twice)))}",
            where=", ".join(f"{point.name} = {point.value}" for point in points),
            mend="remove one of the packages that register it",
        )
    return everyone
