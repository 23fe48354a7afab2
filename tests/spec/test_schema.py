import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ticketlab.spec.identity import DOES_NOT_AFFECT_RESULTS
from ticketlab.spec.language import every_path
from ticketlab.spec.loading import LoadedSpec
from ticketlab.spec.schema import json_schema, schema_text, write_schema
from ticketlab.spec.yaml_positions import read_page

SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for definition in (schema, *schema["$defs"].values()):
        yield from definition.get("properties", {}).items()
    yield from schema["properties"]["matrix"]["properties"].items()


def families_in(schema: Any, around: tuple[Any, ...] = ()) -> Iterator[tuple[dict[str, Any], tuple[Any, ...]]]:
    """Every place where a member of a family may stand, each with the schemas that may stand there instead."""
    if isinstance(schema, dict):
        if "discriminator" in schema:
            yield schema, around
        for key, value in schema.items():
            yield from families_in(value, tuple(value) if key == "anyOf" else ())
    for value in schema if isinstance(schema, list) else ():
        yield from families_in(value, around)


def test_the_schema_is_valid_and_every_property_is_described(validator: Draft202012Validator) -> None:
    Draft202012Validator.check_schema(validator.schema)
    described = list(properties(validator.schema))
    assert len(described) > 150
    assert [name for name, schema in described if len(schema.get("description", "")) < 4] == []


def test_the_committed_schema_is_current() -> None:
    """If not: python -c 'import pathlib, ticketlab.spec.schema as s; s.write_schema(pathlib.Path("specs/schema.json"))'."""
    assert (SPECS / "schema.json").read_text() == schema_text()


def test_writing_the_schema_writes_its_text(tmp_path: Path) -> None:
    write_schema(tmp_path / "schema.json")
    assert json.loads((tmp_path / "schema.json").read_text()) == json_schema()


def test_every_committed_spec_is_valid_under_the_schema(validator: Draft202012Validator) -> None:
    specs = sorted(SPECS.rglob("*.yaml"))
    assert specs
    for spec in specs:
        assert list(validator.iter_errors(read_page(spec.read_bytes(), str(spec)).data)) == [], spec


def test_the_matrix_completes_every_path_that_may_be_varied(validator: Draft202012Validator) -> None:
    axes = set(validator.schema["properties"]["matrix"]["properties"])
    assert axes == set(every_path()) - set(DOES_NOT_AFFECT_RESULTS) - {"spec_version"}


def test_members_of_a_family_are_told_apart_by_a_required_constant(validator: Draft202012Validator) -> None:
    families = list(families_in(validator.schema))
    assert len(families) >= 7
    for family, _ in families:
        key = family["discriminator"]["propertyName"]
        for reference in family["oneOf"]:
            member = validator.schema["$defs"][reference["$ref"].rpartition("/")[2]]
            assert key in member["required"]
            assert member["properties"][key]["const"] in family["discriminator"]["mapping"]


def test_names_alone_are_offered_for_the_members_that_need_no_more(validator: Draft202012Validator) -> None:
    for family, around in families_in(validator.schema):
        needs = {
            name: len(validator.schema["$defs"][reference.rpartition("/")[2]]["required"]) > 1
            for name, reference in family["discriminator"]["mapping"].items()
        }
        offered = [name for schema in around for name in schema.get("enum", ())]
        assert sorted(offered) == sorted(name for name, more in needs.items() if not more)


@pytest.mark.parametrize(
    "matrix",
    [
        "{seed: [0, 1], data.ratio: [0.1, 1]}",
        "{ticket.schedule.density: [0.1, {conv: 0.1}]}",
        "{ticket: [{method: none}, {method: random, schedule: {rate: 0.1}}]}",
        "{train.augment: [[], [{kind: flip}]], train.optimizer.lr: [0.1]}",
        "{train.augment: [[flip], [flip, {kind: crop}]], model: [sngan], model.init: [normal, {kind: normal}]}",
    ],
)
def test_what_loading_accepts_in_a_matrix_the_schema_accepts(
    page: str, accepted: Callable[..., LoadedSpec], validator: Draft202012Validator, matrix: str
) -> None:
    text = page.replace("rate: 0.2", "density: 0.1") + f"matrix: {matrix}\n"
    assert list(validator.iter_errors(accepted(text).data)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("steps: 100", "stepz: 100"),
        ("steps: 100", "steps: x"),
        ("ratio: 0.1", "ratio: 2"),
        ("method: magnitude", "method: magnitud"),
        ("kind: sngan, ", ""),
        ("seed: 0", "matrix: {data.ration: [1]}"),
        ("seed: 0", "matrix: {data.ratio: [2]}"),
        ("seed: 0", "matrix: {seed: []}"),
        ("seed: 0", "matrix: {seed: 1}"),
    ],
)
def test_the_schema_refuses_the_typical_mistakes(
    page: str, validator: Draft202012Validator, old: str, new: str
) -> None:
    assert list(validator.iter_errors(read_page(page.replace(old, new).encode(), "x").data))
