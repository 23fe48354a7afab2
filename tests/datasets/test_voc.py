"""VOC 2012 in its original layout, and all that can be wrong with it."""

import shutil
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from ticketlab.datasets import voc as voc_files
from ticketlab.datasets.labels import MAPS
from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.pack import read_split
from ticketlab.datasets.sources import add
from ticketlab.errors import DataError
from ticketlab.label_map import UNLABELLED
from ticketlab.spec.catalog import KNOWN

ROOT = ("VOCdevkit", "VOC2012")


def root_of(source):
    return source.joinpath(*ROOT)


def rewrite_map(source, name, change, mode="P"):
    """A label map with its numbers changed, saved with its palette."""
    path = root_of(source) / "SegmentationClass" / f"{name}.png"
    with Image.open(path) as picture:
        palette, numbers = picture.getpalette(), np.array(picture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        changed = Image.fromarray(change(numbers).astype(np.uint8), mode="P")
    changed.putpalette(palette)
    changed.convert(mode).save(path)


def test_pictures_and_maps_are_read_in_the_order_of_the_lists(voc):
    splits = voc_files.read(voc, 20)
    assert {name: len(split.images) for name, split in splits.items()} == {"train": 2, "test": 1}
    for split in splits.values():
        assert split.labelling is MAPS
        assert split.images.shape[1:] == (3, 20, 20)
        assert split.labels.shape[1:] == (20, 20)
    assert [set(one.unique().tolist()) - {0, UNLABELLED} for one in splits["train"].labels] == [{2}, {1}]
    assert set(splits["test"].labels.unique().tolist()) == {0, 3, UNLABELLED}


def test_maps_lie_on_their_pictures_at_any_size(voc):
    """Pictures are drawn as 50 times their own map: wide and high ones, larger and smaller than stored."""
    for size in (12, 20, 47):
        for split in voc_files.read(voc, size).values():
            for picture, labels in zip(split.images.float(), split.labels, strict=True):
                known = labels != UNLABELLED
                inside = known & (labels > 0)
                assert known.float().mean() > 0.5
                assert inside.any()
                closer = (picture.mean(0) - 50 * float(labels[inside][0])).abs() < picture.mean(0)
                assert (closer == (labels > 0))[known].float().mean() > 0.97


def test_a_map_at_its_own_size_is_the_file_bit_by_bit(voc):
    found = voc_files.read(voc, 24)["test"].labels[0]
    with Image.open(root_of(voc) / "SegmentationClass" / "2008_000123.png") as picture:
        assert torch.equal(found, torch.from_numpy(np.array(picture)))


@pytest.mark.parametrize("kind", ["above", "devkit", "voc", "tar", "folder with the tar"])
def test_every_form_of_the_original_is_found_and_is_the_same(voc, tmp_path, pack_up, kind):
    expected = voc_files.read(voc, 20)
    tar = pack_up(voc, tmp_path / voc_files.ARCHIVE)
    forms = {"above": voc, "devkit": voc / ROOT[0], "voc": root_of(voc), "tar": tar, "folder with the tar": tmp_path}
    found = voc_files.read(forms[kind], 20)
    for split in ("train", "test"):
        assert torch.equal(found[split].images, expected[split].images)
        assert torch.equal(found[split].labels, expected[split].labels)


def test_it_is_packed_under_another_name_but_not_as_the_known_one(voc, tmp_path):
    project = tmp_path / "project"
    with pytest.raises(DataError, match=r"not the voc2012 that ticketlab knows: counts") as caught:
        add("voc2012", project, voc, as_name=None, size=None)
    assert "--name NAME" in caught.value.mend
    assert not project.exists()
    manifest = add("voc2012", project, voc, as_name="voc-mini", size=None)
    assert (manifest.labels, manifest.size, manifest.classes) == ("map", 513, KNOWN["voc2012"].class_names)
    assert read_manifest(project, "voc-mini") == manifest
    assert read_split(project, "voc-mini", "train").labels.shape == (2, 513, 513)


def listing(text):
    return lambda source: (root_of(source) / "ImageSets" / "Segmentation" / "train.txt").write_bytes(text)


def picture(content):
    return lambda source: (root_of(source) / "JPEGImages" / "2007_000032.jpg").write_bytes(content)


def map_file(content):
    return lambda source: (root_of(source) / "SegmentationClass" / "2007_000032.png").write_bytes(content)


def truncated(source):
    path = root_of(source) / "SegmentationClass" / "2007_000032.png"
    path.write_bytes(path.read_bytes()[:-30])


def bomb(width, height):
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 3, 0, 0, 0])
    start = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + head + zlib.crc32(head).to_bytes(4, "big")
    palette = b"PLTE" + bytes(3)
    return start + (3).to_bytes(4, "big") + palette + zlib.crc32(palette).to_bytes(4, "big") + bytes(4) + b"IDAT"


HOSTILE = {
    "traversal": (listing(b"../../../../etc/passwd\n"), "is not the name of a picture"),
    "absolute": (listing(b"/etc/passwd\n"), "is not the name of a picture"),
    "bytes": (listing(b"2007_00\xff032\n"), "is not the name of a picture"),
    "zeros": (listing(b"2007_000032\x00\n"), "is not the name of a picture"),
    "empty list": (listing(b"\n"), "list is empty"),
    "twice": (listing(b"2007_000032\n2007_000032\n"), "names a picture twice"),
    "long list": (listing(b"2007_000032\n" * (1 << 19)), "bytes where at most"),
    "many": (listing(b"".join(b"2007_%06d\n" % number for number in range(100_000))), "do not fit"),
    "absent": (listing(b"2007_999999\n"), "no such file"),
    "colour": (lambda source: rewrite_map(source, "2007_000032", lambda n: n + (n == 0) * 21), "colour 21 is neither"),
    "254": (lambda source: rewrite_map(source, "2007_000032", lambda n: n - (n == 255)), "colour 254 is neither"),
    "rgb": (lambda source: rewrite_map(source, "2007_000032", lambda n: n, "RGB"), "has mode RGB"),
    "gray": (lambda source: rewrite_map(source, "2007_000032", lambda n: n, "L"), "has mode L"),
    "size": (lambda source: rewrite_map(source, "2007_000032", lambda n: n[:-1]), "are not its picture's"),
    "truncated": (truncated, "cannot be read"),
    "jpeg as map": (map_file(b"\xff\xd8\xff\xe0" + bytes(100)), "cannot be read"),
    "bomb": (map_file(bomb(60_000, 60_000)), "exceeds limit of .* pixels"),
    "large": (map_file(bomb(9000, 9000)), "9000 x 9000 pixels are more"),
    "heavy": (picture(bytes((1 << 25) + 1)), "bytes where at most"),
    "garbage": (picture(b"garbage"), "cannot be read"),
}


@pytest.mark.parametrize("archived", [False, True], ids=["folder", "tar"])
@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_the_original_is_refused_by_name_and_nothing_is_written(voc, tmp_path, pack_up, what, archived):
    spoil, says = HOSTILE[what]
    spoil(voc)
    source = pack_up(voc, tmp_path / "x.tar") if archived else voc
    project = tmp_path / "project"
    with pytest.raises(DataError, match=says) as caught:
        add("voc2012", project, source, as_name="voc-mini", size=None)
    assert "VOC2012" in caught.value.where
    assert not project.exists()


def test_a_place_without_the_original_says_what_is_looked_for(voc, tmp_path):
    shutil.rmtree(root_of(voc) / "ImageSets")
    with pytest.raises(DataError, match=r"VOCdevkit/VOC2012/ImageSets.* or VOCtrainval_11-May-2012\.tar"):
        voc_files.read(voc)
    with pytest.raises(DataError, match="found none"):
        voc_files.read(tmp_path / "absent")
