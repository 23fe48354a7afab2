"""`data.classes`: by number or name, each once; refused, where it stands, with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticketlab.errors import SpecError
from ticketlab.run.reading import load_spec
from ticketlab.spec.identity import identity
from ticketlab.spec.spec import Spec

PAGE = """\
name: some
data: {dataset: DATASET, classes: CLASSES}
model: MODEL
train: {objective: cross_entropy, steps: 3}
"""


def read(folder: Path, classes: str, dataset: str = "cifar10", model: str = "resnet") -> Spec:
    file = folder / "some.yaml"
    file.write_text(PAGE.replace("CLASSES", classes).replace("DATASET", dataset).replace("MODEL", model))
    return load_spec(file).cells[0].spec


def test_names_and_numbers_are_one_list(tmp_path: Path) -> None:
    named, numbered = read(tmp_path, "[dog, cat, 9]"), read(tmp_path, "[5, 3, 9]")
    assert named.data.classes == (5, 3, 9)
    assert identity(named) == identity(numbered)
    assert identity(numbered) != identity(read(tmp_path, "[3, 5, 9]"))
    # What looks like a number is one: a name in quotes is not.
    assert read(tmp_path, "['7', 2]", "mnist", "mlp").data.classes == (7, 2)


@pytest.mark.parametrize(
    ("classes", "where", "said", "mend"),
    [
        ("[1, 10]", "2:39", "cifar10 has no class 10; it has 10", "0 to 9"),
        ("[-1, 2]", "2:36", "cifar10 has no class -1", "0 to 9"),
        ("[cat, dgo]", "2:41", "cifar10 has no class called `dgo`", "did you mean `dog`?"),
        (
            "[cat, kangaroo]",
            "2:41",
            "no class called `kangaroo`",
            "airplane, automobile, bird, ... or a number, 0 to 9",
        ),
        ("[3, 1, cat]", "2:42", "class 3 is asked for twice, here and as number 1 of the list", "remove one"),
        ("[3]", "2:35", "found the list `[3]`", "at least 2"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, classes: str, where: str, said: str, mend: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(tmp_path, classes)
    text = str(refused.value)
    assert f"some.yaml:{where}" in text
    assert said in text
    assert mend in text


def test_names_are_for_datasets_whose_names_are_known(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the names of the classes of imagenet are not known"):
        read(tmp_path, "[goldfish, 2]", "imagenet", "imagenet_resnet")


def test_images_that_show_more_than_one_class_cannot_be_told_by_it(tmp_path: Path) -> None:
    file = tmp_path / "maps.yaml"
    file.write_text(
        "name: maps\ndata: {dataset: voc2012, classes: [1, 2]}\nmodel: deeplab\n"
        "train: {objective: pixel_cross_entropy, steps: 3}\n"
    )
    with pytest.raises(SpecError, match="an image of voc2012 does not show one class"):
        load_spec(file)


def test_a_probe_set_has_images_of_the_chosen_classes_alone(tmp_path: Path) -> None:
    """Twenty images suffice for ten of each of two classes, and not for ten of each of ten."""
    page = """\
name: probe
data: {dataset: cifar10, CHOSEN count: 20}
model: mlp
ticket: {method: snip, schedule: {density: 0.5}}
train: {objective: cross_entropy, steps: 3}
"""
    file = tmp_path / "probe.yaml"
    file.write_text(page.replace("CHOSEN", "classes: [3, 5],"))
    assert load_spec(file).cells[0].spec.data.classes == (3, 5)
    file.write_text(page.replace("CHOSEN", ""))
    with pytest.raises(SpecError, match="10 images of each of 10 classes are asked of 20 images"):
        load_spec(file)
