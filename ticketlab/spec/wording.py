"""How errors about a spec speak: what was found, what is allowed, and what was probably meant."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from ticketlab.spec.language import Kind, Place, fitting, homes, is_section, kinds_of, names, tag_key, tag_of, tags
from ticketlab.spec.positions import Path, dotted
from ticketlab.spec.quoting import code, listed
from ticketlab.spec.section import Section
from ticketlab.spec.yaml_scalars import Unusable, plain_scalar

_BOUNDS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
_ELSEWHERE = {"epochs": "steps", "fc": "linear", "reinit": "fresh_weights"}
"""What others call some keys and members, which no likeness of spelling would find."""

_YES = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def found(value: Any) -> str:
    """A raw value on a few words."""
    if value is None:
        return "null (nothing)"
    if isinstance(value, str):
        return f"the text {code(value)}"
    if isinstance(value, dict):
        return f"a mapping with {listed(value)}" if value else "an empty mapping"
    if isinstance(value, list):
        return f"the list {code(json.dumps(value))}"
    return json.dumps(value)


def allowed(place: Place) -> str:
    """What a place accepts: types, bounds, choices."""
    texts = []
    choices = (*place.choices, *names(place))
    if choices:
        texts.append(listed(choices) if len(choices) == 1 else f"one of {listed(choices)}")
    texts += [_allowed(kind) for kind in place.kinds if not _is_literal(kind) and not is_section(kind.type)]
    if place.sections:
        texts.append(_mapping(place))
    texts.sort(key=lambda text: text == "null")
    return ", or ".join(dict.fromkeys(texts))


def _is_literal(kind: Kind) -> bool:
    return get_origin(kind.type) is Literal


def _allowed(kind: Kind) -> str:
    if kind.type is NoneType:
        return "null"
    if kind.type is bool:
        return "true or false"
    if kind.type in (int, float):
        bounds = [
            f"{sign} {getattr(limit, name):,}"
            for name, sign in _BOUNDS
            for limit in kind.limits
            if hasattr(limit, name)
        ]
        return " ".join(["a whole number" if kind.type is int else "a number", " and ".join(bounds)]).strip()
    if kind.type is str:
        return " ".join(["text", *_text_limits(kind)])
    if get_origin(kind.type) is tuple:
        return _list(kind)
    return "a mapping" if get_origin(kind.type) is dict else "any value"


def _text_limits(kind: Kind) -> list[str]:
    patterns = [f"matching {limit.pattern}" for limit in kind.limits if getattr(limit, "pattern", None)]
    return patterns + [
        f"of at most {limit.max_length:,} characters" for limit in kind.limits if hasattr(limit, "max_length")
    ]


def _list(kind: Kind) -> str:
    members = get_args(kind.type)
    item = allowed(Place(kinds_of(members[0])))
    if members[-1] is not ...:
        return f"a list of {len(members)}, each {item}"
    least = next((limit.min_length for limit in kind.limits if hasattr(limit, "min_length")), 0)
    most = next((limit.max_length for limit in kind.limits if hasattr(limit, "max_length")), 0)
    bounds = [*([f"at least {least}"] if least else ()), *([f"at most {most}"] if most else ())]
    size = f" of {' and '.join(bounds)}" if bounds else ""
    return f"a list{size}, each {item}"


def _mapping(place: Place) -> str:
    key = tag_key(place)
    if key is None:
        return f"a mapping with the keys {listed(place.sections[0].model_fields)}"
    known = tags(place.sections)
    return f"a mapping whose {code(key)} is one of {'these' if known == names(place) else listed(known)}"


def closest(word: str, words: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The nearest spelling of `word` among `words`, if any is near, or what is called so elsewhere."""
    known = {known.lower().replace("-", "_"): known for known in words}
    asked = word[:100].lower().replace("-", "_")
    near = difflib.get_close_matches(asked, known, n=1, cutoff=cutoff)
    return known[near[0]] if near else known.get(_ELSEWHERE.get(asked, ""))


def meant_value(value: Any, place: Place) -> str:
    """Advice for a value that is not allowed at a place; empty if there is none."""
    types = {kind.type for kind in place.kinds if isinstance(kind.type, type)}
    if isinstance(value, str):
        return _meant_text(value, place, types)
    if isinstance(value, float) and value.is_integer() and int in types and float not in types:
        return f"write {int(value)}"
    if value is None:
        optional = place.field is not None and not place.field.is_required()
        return "leave the key out to get its default" if optional else "write a value"
    lists = [kind for kind in place.kinds if get_origin(kind.type) is tuple]
    if not lists or types & {int, float} or isinstance(value, list):
        return ""  # where a number may stand alone, another one is meant
    return (
        "write a list: start the entry with `- `" if isinstance(value, dict) else f"write a list: [{json.dumps(value)}]"
    )


def _meant_text(value: str, place: Place, types: set[Any]) -> str:
    members = dict(zip(tags(place.sections), place.sections, strict=True)) if tag_key(place) else {}
    choices = {str(choice): choice for choice in place.choices}
    near = closest(value, [*choices, *members], cutoff=0.7)
    if near in members:
        return f"did you mean {code(_written(members[near]))}?"
    if near:
        return f"did you mean {code(near)}?" if isinstance(choices[near], str) else f"write {near}, without quotes"
    if bool in types and value.lower() in _YES:
        return f"write {_YES[value.lower()]}"
    if types & {int, float}:
        number = _as_number(value)
        return f"write {number}, without quotes or underscores" if number is not None else ""
    if any(get_origin(kind.type) is tuple for kind in place.kinds):
        return f"write a list: {code(f'[{value}]')}"
    return ""


def _written(member: type[Section]) -> str:
    """How a member of a family is written: its name, or a mapping with the keys that it needs."""
    tag, needed = tag_of(member), [name for name, field in member.model_fields.items() if field.is_required()]
    assert tag is not None, "members of a family are told apart"
    return f"{{{tag[0]}: {tag[1]}, {', '.join(f'{name}: ...' for name in needed)}}}" if needed else tag[1]


def _as_number(text: str) -> int | float | None:
    try:
        number = plain_scalar(text.replace("_", "").strip(), plain=True)
    except Unusable:
        return None
    return number if isinstance(number, (int, float)) and not isinstance(number, bool) else None


def meant_key(path: Path, section: type[Section], around: Place) -> str:
    """Advice for a key that its section does not have: its spelling, the place it belongs to, or the keys there are."""
    key = str(path[-1])
    near = closest(key, section.model_fields, cutoff=0.75)
    if near:
        return f"did you mean {code(near)}? {section.model_fields[near].description}"
    relatives = [other for other in around.sections if key in other.model_fields]
    if relatives:
        tag = tag_of(section)
        return f"it belongs to {listed(tags(relatives))}, not to {code(tag[1] if tag else section.__name__)}"
    elsewhere = homes(key)
    if elsewhere:
        inside = dotted(path[:-1])
        elsewhere = tuple(home for home in elsewhere if home.startswith(f"{inside}.")) or elsewhere
        return f"it belongs to {listed(elsewhere, most=3)}"
    near = closest(key, section.model_fields)
    if near:
        return f"did you mean {code(near)}? {section.model_fields[near].description}"
    return f"the keys here are {listed(section.model_fields, most=20)}"


def section_meant(place: Place, value: Any) -> type[Section] | None:
    """The section a raw mapping is meant as, if one can tell."""
    sections = [kind.type for kind in fitting(place, value) if is_section(kind.type)]
    return sections[0] if sections else None
