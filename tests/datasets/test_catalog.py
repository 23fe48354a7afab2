"""The catalog of datasets: what is known, what was added, and how a wrong name is answered."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ticketlab.errors import DataError, SpecError
from ticketlab.spec.catalog import KNOWN, NAME, facts


def describe(project: Path, name: str, text: str) -> None:
    folder = project / "data" / name
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(text)


def test_known_datasets_are_described_completely():
    assert set(KNOWN) == {
        "fashion-mnist-mini",
        "fashion-mnist",
        "mnist",
        "cifar10",
        "cifar100",
        "tiny-imagenet",
        "voc2012",
        "imagenet",
    }
    for name, entry in KNOWN.items():
        assert entry.name == name
        assert NAME.fullmatch(name)
        # Of a streamed dataset the folders say what the classes are called.
        assert len(set(entry.class_names)) == len(entry.class_names) == (0 if entry.streamed else entry.classes)
        assert entry.about
        assert entry.licence
        assert entry.source
        if entry.pinned:
            assert len(entry.pinned.mean) == len(entry.pinned.std) == entry.channels


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("fashion-mnist-mini", (1, 28, 10, 6_000, 1_000, "class")),
        ("fashion-mnist", (1, 28, 10, 60_000, 10_000, "class")),
        ("mnist", (1, 28, 10, 60_000, 10_000, "class")),
        ("cifar10", (3, 32, 10, 50_000, 10_000, "class")),
        ("cifar100", (3, 32, 100, 50_000, 10_000, "class")),
        ("tiny-imagenet", (3, 64, 200, 100_000, 10_000, "class")),
        ("voc2012", (3, 513, 21, 1_464, 1_449, "map")),
    ],
)
def test_known_datasets_have_the_published_sizes(name, published):
    entry = KNOWN[name]
    assert (entry.channels, entry.size, entry.classes, entry.train, entry.test, entry.labels) == published


def test_known_facts_need_no_pack(tmp_path):
    assert facts("cifar10", tmp_path) is KNOWN["cifar10"]


def test_an_added_pack_is_described_by_its_own_file(tmp_path):
    content = {
        "channels": 3,
        "size": 64,
        "classes": ["cat", "dog"],
        "counts": {"train": 18, "test": 2},
        "licence": "mine",
        "source": "image folder pets",
    }
    describe(tmp_path, "pets", json.dumps(content))
    found = facts("pets", tmp_path)
    assert (found.name, found.channels, found.size, found.classes, found.train, found.test) == ("pets", 3, 64, 2, 18, 2)
    assert found.class_names == ("cat", "dog")


def test_a_wrong_name_is_answered_with_the_names_and_the_closest(tmp_path):
    describe(tmp_path, "pets", "{}")
    with pytest.raises(SpecError) as caught:
        facts("cifar-10", tmp_path)
    assert all(name in caught.value.what for name in (*KNOWN, "pets"))
    assert caught.value.mend == "did you mean cifar10?"
    with pytest.raises(SpecError) as caught:
        facts("petz", tmp_path)
    assert "pets" in caught.value.mend


def test_a_name_like_no_other_is_answered_with_how_to_add_one(tmp_path):
    with pytest.raises(SpecError) as caught:
        facts("zzzz", tmp_path)
    assert "ticketlab data add imagefolder" in caught.value.mend


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"channels": "x"}', "[" * 100_000, "\x00\xff"])
def test_an_unreadable_description_is_a_data_error(tmp_path, text):
    describe(tmp_path, "pets", text)
    with pytest.raises(DataError):
        facts("pets", tmp_path)


def test_a_name_cannot_leave_the_data_folder(tmp_path):
    (tmp_path / "dataset.json").write_text("{}")
    (tmp_path / "data").mkdir()
    with pytest.raises(SpecError):
        facts("../", tmp_path)


def test_catalog_manifest_and_counting_do_not_import_torch():
    code = (
        "import ticketlab.spec.catalog, ticketlab.datasets.manifest, ticketlab.datasets.subset, sys;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
