import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest

from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.run.reading import load_spec
from ticketlab.spec.identity import identity, without_effect
from ticketlab.spec.language import ROOT, Kind, Place, every_section, is_section, kinds_of, place_of
from ticketlab.spec.section import Section, no_effect
from ticketlab.spec.spec import Spec


def spec(**sections: Any) -> Spec:
    page = {
        "name": "demo",
        "data": {"dataset": "fashion-mnist"},
        "model": {"kind": "sngan"},
        "train": {"objective": "hinge", "steps": 100},
        **sections,
    }
    return Spec.model_validate_json(json.dumps(page), strict=True)


STARTED: dict[str, Any] = {
    "kind": "imagenet_resnet",
    "start": {"kind": "file", "file": "w.pth", "sha256": "0" * 64, "names": "moco"},
}
DRAWN: dict[str, Any] = {"method": "magnitude", "schedule": {"rounds": 2, "rate": 0.2}}


def example(kind: Kind) -> Any:
    """Some value of a kind: valid as to type, not as to bounds."""
    if is_section(kind.type):
        return kind.type.model_construct(
            **{
                name: example(place_of(field).kinds[0])
                for name, field in kind.type.model_fields.items()
                if field.is_required()
            }
        )
    if get_origin(kind.type) is Literal:
        return get_args(kind.type)[0]
    if get_origin(kind.type) is tuple:
        return tuple(example(kinds_of(member)[0]) for member in get_args(kind.type) if member is not ...)
    return {int: 1, float: 0.5, bool: True, str: "x"}[kind.type]


def other_values(place: Place, value: Any) -> Iterator[Any]:
    """Values that could stand at a place instead of `value`: at least one of every other kind, another of the same."""
    for kind in place.kinds:
        if kind.type is NoneType:
            yield None
        elif get_origin(kind.type) is Literal:
            yield from get_args(kind.type)
        elif get_origin(kind.type) is tuple:
            yield example(kind)
            if get_args(kind.type)[-1] is ...:
                yield (*(value or ()), *example(kind))
        elif is_section(kind.type):
            yield example(kind)
        elif kind.type is bool:
            yield from (True, False)
        else:
            same = isinstance(value, kind.type)
            yield value + ("x" if kind.type is str else 1) if same else example(kind)


def changes(section: Any, place: Place, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every way to change one field somewhere inside a section: the path of the field, and the changed section."""
    for name, field in type(section).model_fields.items():
        value, here = getattr(section, name), f"{path}.{name}".lstrip(".")
        if name == "matrix":
            yield here, section.model_copy(update={name: {"seed": (1, 2)}})
            continue
        for other in other_values(place_of(field), value):
            if other != value:
                yield here, section.model_copy(update={name: other})
        for index, item in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(item, Section):
                for where, changed in changes(item, place_of(field), f"{here}.{index}"):
                    yield where, section.model_copy(update={name: (*value[:index], changed, *value[index + 1 :])})
        if isinstance(value, Section):
            for where, changed in changes(value, place_of(field), here):
                yield where, section.model_copy(update={name: changed})


@pytest.mark.parametrize("section", sorted(set(every_section()) - {Spec}, key=lambda section: section.__name__))
def test_every_field_of_every_section_is_part_of_the_identity(section: type[Section]) -> None:
    item = example(Kind(section))
    seen = set()
    for path, changed in changes(item, Place((Kind(section),))):
        name = path.split(".")[0]
        if "." not in path:
            harmless = no_effect(section.model_fields[name]) is not None
            assert (item.counting() == changed.counting()) == harmless, path
        seen.add(name)
    fixed = {name for name, field in section.model_fields.items() if len(place_of(field).choices) == 1}
    assert seen | fixed == set(section.model_fields)


@pytest.mark.parametrize(
    "page",
    [
        spec(),
        spec(ticket=DRAWN, train={"objective": "hinge", "steps": 9, "augment": [{"kind": "crop"}]}),
        spec(model={"kind": "mlp"}, train={"objective": "cross_entropy", "steps": 9}),
        spec(model=STARTED, evaluate={"extractor": {"kind": "lab_classifier", "model": STARTED}}),
        spec(model={**STARTED, "start": {"kind": "torchvision"}}),
        spec(evaluate={"extractor": {"kind": "inception", "file": "w.pth", "sha256": "0" * 64}}),
    ],
    ids=["dense GAN", "GAN ticket", "classifier", "from a file", "from torchvision", "through a file"],
)
def test_a_change_of_any_field_changes_the_identity_unless_it_is_declared_harmless(page: Spec) -> None:
    before, harmless = identity(page), set()
    for path, changed in changes(page, ROOT):
        if path in without_effect():
            harmless.add(path)
            assert identity(changed) == before, path
        else:
            assert identity(changed) != before, path
    assert harmless >= {path for path in without_effect() if not path.endswith(".file")}


def test_what_can_change_no_result_is_a_short_list() -> None:
    assert set(without_effect()) == {
        "name",
        "about",
        "matrix",
        "arms",
        "compute.checkpoint_seconds",
        "compute.log_every",
        "compute.workers",
        "ticket.file",
        "model.start.file",
        "evaluate.extractor.model.start.file",
        "evaluate.extractor.file",
        "train.extractor.file",
        "ticket.search.extractor.file",
        "train.extractor.model.start.file",
        "ticket.search.extractor.model.start.file",
    }


def test_where_the_file_lies_is_no_part_of_the_identity_and_what_is_in_it_is() -> None:
    def found(**start: str) -> str:
        return identity(spec(model={**STARTED, "start": {**STARTED["start"], **start}}))

    assert found(file="elsewhere/w.pth") == found()
    assert found(sha256="1" * 64) != found()


def test_every_exemption_gives_its_reason() -> None:
    assert all(len(reason) > 15 for reason in without_effect().values())


def test_a_default_that_is_written_out_is_the_same_experiment() -> None:
    written = spec(seed=0, compute={}, train={"objective": "hinge", "steps": 100, "n_critic": 5, "augment": []})
    assert identity(written) == identity(spec())


def test_a_whole_number_where_a_fraction_may_stand_is_the_same_experiment() -> None:
    one, two = (spec(data={"dataset": "fashion-mnist", "ratio": ratio}) for ratio in (1, 1.0))
    assert identity(one) == identity(two)


def test_a_name_alone_is_the_same_experiment_as_the_mapping_it_stands_for() -> None:
    short = spec(ticket={**DRAWN, "scope": "erk", "structure": "channels"}, model="sngan")
    long = spec(ticket={**DRAWN, "scope": {"kind": "erk"}, "structure": {"kind": "channels"}})
    assert identity(short) == identity(long)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (spec(), "449dea696798f04a724bb4cb0ac4bacb1012a8f83a61cb08821383f41410000a"),
        (
            spec(seed=7, ticket=DRAWN, model={"kind": "mlp"}, train={"objective": "cross_entropy", "steps": 9}),
            "33f0830bcd94b224ced546ebb4f53d790bf5ca18a4904b5d8f2dd014526a96bf",
        ),
    ],
)
def test_identities_stay_what_they_were(page: Spec, expected: str) -> None:
    """A failure means that every result stored so far gets a new address: change a default or a field only knowingly."""
    assert identity(page) == expected


SPECS = Path(__file__).parents[2] / "specs"

SHIPPED = {
    "gan-tickets/sngan-cifar10-advaug": "7553699c31e2e17a",
    "gan-tickets/sngan-cifar10-limited": "3b1b8c0596b275f3",
    "gan-tickets/sngan-cifar10-ticket": "d67227c459390b89",
    "lottery-ticket/lenet-fashion-mnist-mini": "81347364168b7e86",
    "lottery-ticket/lenet-mnist-apart": "dbbee38d7f81ecb1",
    "lottery-ticket/mlp-mnist-iterative": "bd778ae1c52f7d28",
    "lottery-ticket/mlp-mnist-rewind": "9d617e894ef0deb7",
    "lottery-ticket/mlp-mnist-single-shot": "6fed4344fb85bea7",
    "lottery-ticket/resnet20-cifar10-rewind": "cb4c930cd35f6873",
    "px/deeplab-voc2012": "484832eb1f3da728",
    "px/foresight-cifar10-grid": "627e7795f9fdc4ed",
    "px/foresight-cifar10-reduced": "499d21d3955692e1",
    "px/resnet18-tiny-imagenet": "b97ab88f3b1c076e",
    "px/resnet20-cifar10": "0f1fa9efebf7e56d",
    "px/resnet50-imagenet": "bce4ccf44ebfeaa7",
    "px/resnet50-imagenet10": "86acbd04322b3f13",
    "px/resnet50-imagenet10-zero-shot": "861519e13444f94d",
    "px/resnet50-moco-cifar": "fa95ece42c5102e8",
    "px/resnet50-moco-tiny-imagenet": "c04c0ce3a74f4730",
    "px/resnet50-pretrained-cifar": "6a0683dc8e978cb5",
    "px/resnet50-pretrained-tiny-imagenet": "4c6d003bebc6ef93",
    "px/vgg16-cifar100": "c566ae3d7491d509",
    "quickstart": "22d5f73d55ebdd10",
    "rg-gan/sngan-cifar10-limited": "1b6e37b9fffad4b6",
    "rg-gan/sngan-fashion-mnist-mini": "a38d725dcd051d63",
    "strong-tickets/lenet-fashion-mnist-mini": "3348fc2015853ea3",
    "strong-tickets/sngan-cifar10-moments": "7bdf4355e3f99af7",
    "synflow/resnet18-cifar": "5da44351e839c414",
    "synflow/tiny-imagenet": "17588f34b7db08a2",
    "synflow/vgg-cifar": "0f24e42ba16b34b7",
    "synflow/vgg11-cifar10-iterative": "b7a639394945570c",
}
"""The first 16 digits of the sha256 over the identities of all cells, resolved, of each spec that is shipped."""


def test_every_spec_that_is_shipped_is_held() -> None:
    assert {path.relative_to(SPECS).with_suffix("").as_posix() for path in SPECS.rglob("*.yaml")} == SHIPPED.keys()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_spec_that_is_shipped_stays_the_experiment_that_it_was(name: str) -> None:
    loaded = load_spec(SPECS / f"{name}.yaml")
    assert sha256_bytes(canonical_json([identity(cell.spec) for cell in loaded.cells]))[:16] == SHIPPED[name]
