"""The spec language as a JSON Schema, for completion and checking in editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ticketlab.files import write_atomically
from ticketlab.spec.identity import without_effect
from ticketlab.spec.language import every_field, every_section, tag_of
from ticketlab.spec.positions import dotted
from ticketlab.spec.section import Section
from ticketlab.spec.spec import Spec


def json_schema() -> dict[str, Any]:
    """The schema (JSON Schema draft 2020-12).

    Every property has a description; members of a family require the key that tells them apart, so that editors can;
    `matrix` lists every path that may be varied. What only a cross-section check can see is not in it.
    """
    schema = Spec.model_json_schema()
    for section in every_section():
        if section is Spec or section.__name__ in schema["$defs"]:
            _complete(schema if section is Spec else schema["$defs"][section.__name__], section)
    schema["properties"]["matrix"] |= {"properties": _axes(), "additionalProperties": False}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "ticketlab spec"}


def _complete(definition: dict[str, Any], section: type[Section]) -> None:
    """Require the tag of a section, and describe the properties whose description Pydantic thought redundant."""
    tag = tag_of(section)
    if tag:
        definition["required"] = [tag[0], *(name for name in definition.get("required", ()) if name != tag[0])]
    for name, field in section.model_fields.items():
        definition["properties"][name].setdefault("description", field.description)


def schema_text() -> str:
    """The schema as it is written to `specs/schema.json`."""
    return json.dumps(json_schema(), indent=1, sort_keys=True) + "\n"


def write_schema(path: Path) -> None:
    """Write the schema, atomically."""
    write_atomically(path, schema_text().encode())


def _axes() -> dict[str, Any]:
    """What each axis of the matrix may hold: a list of values, each of which could stand at its path."""
    values: dict[str, list[dict[str, str]]] = {}
    about: dict[str, str] = {}
    for path, section, field in every_field():
        axis = dotted(path)
        if axis in without_effect() or axis == "spec_version":
            continue
        home = "#" if section is Spec else f"#/$defs/{section.__name__}"
        reference = {"$ref": f"{home}/properties/{path[-1]}"}
        about.setdefault(axis, field.description or "")
        if reference not in values.setdefault(axis, []):
            values[axis].append(reference)
    return {
        axis: {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "description": f"One cell for each value. {about[axis]}",
            "items": references[0] if len(references) == 1 else {"anyOf": references},
        }
        for axis, references in values.items()
    }
