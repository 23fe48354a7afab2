"""Tiny ImageNet in its original layout, and all that can be wrong with it."""

import pytest
import torch

from ticketlab.datasets import tiny_imagenet
from ticketlab.datasets.pack import read_split
from ticketlab.datasets.sources import add
from ticketlab.errors import DataError
from ticketlab.spec.class_names import TINY_IMAGENET


def root_of(source):
    return source / "tiny-imagenet-200"


def test_pictures_are_labelled_by_the_sorted_numbers_of_their_classes(tiny):
    splits = tiny_imagenet.read(tiny)
    assert splits["train"].labels.tolist() == [0, 0, 7, 7, 199, 199]
    assert splits["test"].labels.tolist() == [0, 7, 199]
    shades = [[0, 10, 60, 70, 120, 130], [0, 60, 120]]
    for split, expected in zip(splits.values(), shades, strict=True):
        assert split.images.shape[1:] == (3, 64, 64)
        assert split.images.float().mean((1, 2, 3)).round().tolist() == expected


@pytest.mark.parametrize("kind", ["above", "own", "zip", "folder with the zip"])
def test_every_form_of_the_original_is_found_and_is_the_same(tiny, tmp_path, pack_up, kind):
    expected = tiny_imagenet.read(tiny)
    archive = pack_up(tiny, tmp_path / tiny_imagenet.ARCHIVE)
    forms = {"above": tiny, "own": root_of(tiny), "zip": archive, "folder with the zip": tmp_path}
    found = tiny_imagenet.read(forms[kind])
    for split in ("train", "test"):
        assert torch.equal(found[split].images, expected[split].images)
        assert torch.equal(found[split].labels, expected[split].labels)


def test_it_is_packed_under_another_name_but_not_as_the_known_one(tiny, tmp_path):
    project = tmp_path / "project"
    with pytest.raises(DataError, match="not the tiny-imagenet that ticketlab knows: counts"):
        add("tiny-imagenet", project, tiny, as_name=None, size=None)
    assert not project.exists()
    manifest = add("tiny-imagenet", project, tiny, as_name="tiny-mini", size=None)
    assert (manifest.labels, manifest.size, manifest.classes) == ("class", 64, TINY_IMAGENET)
    assert read_split(project, "tiny-mini", "test").labels.tolist() == [0, 7, 199]


def write(name, content):
    return lambda source: (root_of(source) / name).write_bytes(content)


FIRST = TINY_IMAGENET[0].encode()
HOSTILE = {
    "strange class": (write("wnids.txt", b"n99999999"), "'n99999999' is not a class"),
    "traversal in classes": (write("wnids.txt", b"../../etc"), "is not a class"),
    "no class": (write("wnids.txt", b""), "names no class"),
    "class without pictures": (write("wnids.txt", TINY_IMAGENET[3].encode()), "class has no pictures"),
    "traversal": (write("val/val_annotations.txt", b"../../x.JPEG\t" + FIRST), "not the name of a validation"),
    "absent": (write("val/val_annotations.txt", b"val_99.JPEG\t" + FIRST + b"\t0\n"), "no such file"),
    "twice": (write("val/val_annotations.txt", b"val_0.JPEG\t%s\n" % FIRST * 2), "twice"),
    "no line": (write("val/val_annotations.txt", b""), "names no picture"),
    "no class in line": (write("val/val_annotations.txt", b"val_0.JPEG\n"), "'' is not a class"),
    "bytes": (write("val/val_annotations.txt", b"val_0.JPEG\t\xff\x00\t0\n"), "is not a class"),
    "garbage": (write("val/images/val_0.JPEG", b"garbage"), "cannot be read"),
    "heavy": (write("val/images/val_0.JPEG", bytes((1 << 20) + 1)), "bytes where at most"),
}


@pytest.mark.parametrize("archived", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_the_original_is_refused_by_name_and_nothing_is_written(tiny, tmp_path, pack_up, what, archived):
    spoil, says = HOSTILE[what]
    spoil(tiny)
    source = pack_up(tiny, tmp_path / "x.zip") if archived else tiny
    project = tmp_path / "project"
    with pytest.raises(DataError, match=says) as caught:
        add("tiny-imagenet", project, source, as_name="tiny-mini", size=None)
    assert "tiny-imagenet-200" in caught.value.where
    assert not project.exists()
