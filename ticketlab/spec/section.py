"""What every section of a spec is: frozen, closed to unknown keys, every field described; and how open families grow."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Any, ClassVar, Union

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, le=1)]
"""A share of a whole, in (0, 1]."""


class Section(BaseModel):
    """A piece of a spec; immutable, compared by value, refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class Choice(Section):
    """One member of a family (a model, a ticket method, an objective, an augmentation, an extractor).

    A member is this class, which says what may be asked, and one function elsewhere, named in `made_by` as
    `package.module:function`, which does it. The function is imported only when a run needs it; its module (with what
    it imports) is part of the digest of every step that uses it.
    """

    made_by: ClassVar[str]
    about: ClassVar[str]
    source: ClassVar[str] = ""


def family(plural: str, tag: str, *members: type[Choice]) -> Any:
    """The annotated union of a family: its own members and those that installed packages register.

    `tag` is the key that tells members apart. Packages add members through the entry-point group `ticketlab.<plural>`,
    each entry naming a `Choice`. Two members under one name are refused (ValueError).
    """
    everyone = (*members, *(point.load() for point in _entry_points().select(group=f"ticketlab.{plural}")))
    names = [member.model_fields[tag].default for member in everyone]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two {plural} are registered under one name: {', '.join(sorted(map(str, twice)))}")
    if len(everyone) == 1:
        return everyone[0]
    return Annotated[Union[everyone], Field(discriminator=tag)]  # noqa: UP007 - the members are known only now


@cache
def _entry_points() -> Any:
    return entry_points()
