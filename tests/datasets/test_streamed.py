"""Streamed datasets: an index of pictures, whose batches depend on the key and the number alone."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize
from torchvision.transforms import functional as published

from ticketlab.augment.crop_flip import flip
from ticketlab.augment.resized_crop import build as resized_crop
from ticketlab.datasets.chosen import Chosen
from ticketlab.datasets.image_set import ImageSet
from ticketlab.datasets.index import HEAD, Index
from ticketlab.datasets.manifest import Manifest, read_manifest
from ticketlab.datasets.pictures import MOST_PIXELS
from ticketlab.datasets.places import link_of
from ticketlab.datasets.sources import add
from ticketlab.datasets.streamed import opened
from ticketlab.errors import DataError
from ticketlab.randomness import Key
from ticketlab.spec.augment import Flip, ResizedCrop
from ticketlab.spec.catalog import facts

SIZE = 32
CLASSES = ("n01440764", "n01443537", "n02105855")
Make = Callable[..., Path]
FIRST = Key(0)
AUGMENTERS = [flip(Flip()), resized_crop(ResizedCrop())]


@pytest.fixture
def project(tmp_path: Path, photographs: Make) -> Path:
    add("imagenet", tmp_path / "project", photographs(tmp_path / "photographs"), as_name="small", size=None)
    return tmp_path / "project"


def images(
    project: Path, split: str = "train", kept: Tensor | None = None, workers: int = 0, classes: tuple[int, ...] = ()
) -> ImageSet:
    manifest = read_manifest(project, "small")
    return opened(project, manifest, split, SIZE, "resize", Chosen(classes, kept), torch.device("cpu"), workers)  # type: ignore[arg-type]


def batches(source: ImageSet, numbers: list[int], key: Key = FIRST, size: int = 4) -> list[tuple[Tensor, Tensor]]:
    with source.stream(size, key, AUGMENTERS) as (stream, _):
        return [stream.at(number) for number in numbers]


def are_equal(some: list[tuple[Tensor, Tensor]], others: list[tuple[Tensor, Tensor]]) -> bool:
    return len(some) == len(others) and all(
        torch.equal(one, other) for a, b in zip(some, others, strict=True) for one, other in zip(a, b, strict=True)
    )


def picture_of(project: Path, number: int) -> Path:
    manifest = read_manifest(project, "small")
    index = Index((project / "data" / "small" / "train.tsv").read_bytes(), len(manifest.classes), "here")
    return link_of(project, "small") / index.picture(number).path


def test_the_index_names_every_picture_with_label_length_and_digest_class_by_class(project: Path) -> None:
    manifest = read_manifest(project, "small")
    assert (manifest.classes, manifest.counts) == (CLASSES, {"train": 18, "test": 6})
    content = (project / "data" / "small" / "train.tsv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest.sha256["train"]
    rows = [line.split("\t") for line in content.decode().splitlines()]
    assert [*rows[0]] == ["label", "bytes", "sha256", "path"]
    assert [row[3] for row in rows[1:]] == sorted(row[3] for row in rows[1:])
    for label, length, digest, path in rows[1:]:
        file = project.parent / "photographs" / path
        assert path.split("/")[:2] == ["train", CLASSES[int(label)]]
        assert (int(length), digest) == (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
    assert sorted(path.name for path in (project / "data" / "small").iterdir()) == [
        "dataset.json",
        "test.tsv",
        "train.tsv",
    ]
    assert facts("small", project).streamed


def test_the_same_files_give_the_same_index_wherever_they_lie(project: Path, tmp_path: Path) -> None:
    """On a second machine `data add` finds the index that DVC brought, byte for byte, and links the pictures there."""
    before = {path.name: path.read_bytes() for path in (project / "data" / "small").iterdir()}
    (tmp_path / "away").mkdir()
    moved = (tmp_path / "photographs").rename(tmp_path / "away" / "pictures")
    with pytest.raises(DataError, match="are not on this machine"):
        images(project)
    add("imagenet", project, moved, as_name="small", size=None)
    assert {path.name: path.read_bytes() for path in (project / "data" / "small").iterdir()} == before
    assert len(images(project).take(torch.arange(18))) == 18


def test_batches_are_the_same_with_any_number_of_processes_and_in_any_order_of_asking(project: Path) -> None:
    expected = batches(images(project), list(range(12)))
    assert are_equal(batches(images(project, workers=2), list(range(12))), expected)
    there_and_back = [7, 8, 3, 4, 5, 0, 11]
    assert are_equal(
        batches(images(project, workers=2), there_and_back), [expected[number] for number in there_and_back]
    )
    assert not are_equal(batches(images(project), [0], Key(1)), expected[:1])


def test_every_picture_comes_once_an_epoch_and_is_cut_anew_in_the_next(project: Path) -> None:
    source = images(project)
    taken = batches(source, list(range(12)), size=3)
    firsts = {}
    for epoch in range(2):
        labels = torch.cat([labels for _, labels in taken[6 * epoch : 6 * epoch + 6]])
        assert torch.bincount(labels).tolist() == [6, 6, 6]
        firsts[epoch] = torch.cat([pixels for pixels, _ in taken[6 * epoch : 6 * epoch + 6]])
    again = {one.numpy().tobytes() for one in firsts[0]} & {one.numpy().tobytes() for one in firsts[1]}
    assert not again


def test_the_window_is_cut_by_the_stream_and_all_else_is_left(project: Path) -> None:
    with images(project).stream(4, Key(0), AUGMENTERS) as (_, left):
        assert list(left) == AUGMENTERS[:1]
    with images(project).stream(4, Key(0), AUGMENTERS[:1]) as (stream, left):
        assert list(left) == AUGMENTERS[:1]
        pixels, labels = stream.at(0)
    centres = images(project).take(torch.arange(18))
    assert all(any(torch.equal(one, centre) for centre in centres) for one in pixels)
    assert len(labels) == 4


def test_evaluation_sees_what_the_usual_transformation_makes(project: Path) -> None:
    """Torchvision's Resize and CenterCrop on the picture that PIL opens; 37 is to 32 as 256 is to 224."""
    usual = Compose([Resize(round(SIZE * 8 / 7), InterpolationMode.BILINEAR), CenterCrop(SIZE)])
    found = images(project).take(torch.arange(18))
    for number in range(18):
        with Image.open(picture_of(project, number)) as picture:
            assert torch.equal(
                found[number], torch.from_numpy(np.array(usual(picture.convert("RGB")))).permute(2, 0, 1)
            )


def test_training_sees_what_the_usual_transformation_makes_of_the_window_that_was_drawn(project: Path) -> None:
    source, key = images(project), Key(5)
    with source.stream(4, key, AUGMENTERS) as (stream, _):
        pixels, _ = stream.at(3)
        numbers = stream._order.indices(3)  # type: ignore[attr-defined]
    draw = AUGMENTERS[1].window
    assert draw is not None
    for place, number in enumerate(numbers.tolist()):
        with Image.open(picture_of(project, number)) as picture:
            sides = torch.tensor([[picture.height, picture.width]])
            top, left, height, width = draw(sides, key.of("window", 3, place))[0].tolist()
            usual = published.resized_crop(picture.convert("RGB"), top, left, height, width, [SIZE, SIZE])
            assert torch.equal(pixels[place], torch.from_numpy(np.array(usual)).permute(2, 0, 1))


def test_parts_are_all_pictures_in_order_and_a_subset_is_a_set_of_its_own(project: Path) -> None:
    whole = images(project, workers=2)
    parts = list(whole.parts(7))
    assert [len(labels) for _, labels in parts] == [7, 7, 4]
    assert torch.equal(torch.cat([pixels for pixels, _ in parts]), images(project).take(torch.arange(18)))
    assert torch.cat([labels for _, labels in parts]).tolist() == [0] * 6 + [1] * 6 + [2] * 6
    kept = torch.tensor([1, 8, 9, 17])
    some = images(project, kept=kept)
    assert some.labels.tolist() == [0, 1, 1, 2]
    assert torch.equal(some.take(torch.arange(4)), whole.take(kept))


def test_a_part_of_what_is_opened_may_be_left_without_leaving_processes(project: Path) -> None:
    source = images(project, workers=2)
    begun = source.parts(2)
    next(begun)
    begun.close()
    with source.stream(4, Key(0), AUGMENTERS) as (stream, _):
        stream.at(0)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    assert not children.exists() or children.read_text().split() == []


def test_the_generator_of_the_process_is_left_alone(project: Path) -> None:
    state = torch.get_rng_state()
    batches(images(project, workers=2), [0, 1])
    images(project).take(torch.arange(3))
    assert torch.equal(torch.get_rng_state(), state)


def jpeg(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height)).save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_that_changed_is_named(project: Path, workers: int) -> None:
    path = picture_of(project, 4)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="not the one in the index") as caught:
        list(images(project, workers=workers).parts(4))
    assert caught.value.where == str(path.resolve())
    path.unlink()
    with pytest.raises(DataError, match="no such file") as caught:
        batches(images(project, workers=workers), list(range(5)))
    assert caught.value.where == str(path.resolve())


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["cut off", "needle", "damaged inside"])
def test_a_hostile_picture_that_was_indexed_is_named_and_does_not_fill_memory(
    tmp_path: Path, photographs: Make, kind: str, workers: int
) -> None:
    source = photographs(tmp_path / "photographs")
    path = source / "train" / CLASSES[1] / "hostile.jpg"
    whole = jpeg(200, 200)
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(content, "PNG")
    damaged = bytearray(content.getvalue())
    damaged[3000:3100] = bytes(100)
    path.write_bytes(
        {
            "cut off": whole[: len(whole) * 2 // 3],
            # One pixel high: its shorter side brought to 37 would make it 65000 * 37 * 37 pixels.
            "needle": jpeg(65000, 1),
            "damaged inside": damaged,
        }[kind]
    )
    add("imagenet", tmp_path / "project", source, as_name="small", size=None)
    with pytest.raises(DataError) as caught:
        list(images(tmp_path / "project", workers=workers).parts(4))
    assert caught.value.where == str(path)


def test_files_that_are_no_pictures_are_named_when_the_index_is_made(tmp_path: Path, photographs: Make) -> None:
    source = photographs(tmp_path / "photographs")
    path = source / "train" / CLASSES[0] / "zero.JPEG"
    bomb = bytearray(jpeg(8, 8))
    place = bomb.index(b"\xff\xc0") + 5
    bomb[place : place + 4] = (60000).to_bytes(2, "big") * 2
    assert MOST_PIXELS < 60000**2
    for content in (b"", b"\x80\x04\x95 not a picture", bytes(bomb)):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            add("imagenet", tmp_path / "project", source, as_name="small", size=None)
        assert caught.value.where == str(path)
    assert not (tmp_path / "project" / "data").exists()


def test_folders_in_another_layout_are_refused_with_what_is_expected(tmp_path: Path, photographs: Make) -> None:
    def refused(source: Path, name: str | None = "small") -> DataError:
        with pytest.raises(DataError) as caught:
            add("imagenet", tmp_path / "project", source, as_name=name, size=None)
        return caught.value

    assert "no folder train" in refused(tmp_path).what
    (tmp_path / "ILSVRC2012_img_train.tar").touch()
    assert "unpack ILSVRC2012_img_train.tar" in refused(tmp_path).mend
    source = photographs(tmp_path / "photographs")
    assert "1000 classes, and here are 3" in refused(source, None).what
    (source / "val" / "n09999999").mkdir()
    assert "different classes" in refused(source).what
    (source / "train" / "n09999999").mkdir()
    assert "no pictures" in refused(source).what
    with pytest.raises(DataError, match="cannot be downloaded"):
        add("imagenet", tmp_path / "project", None, as_name=None, size=None)


@pytest.mark.parametrize(
    "line",
    [
        b"0\t10\t" + b"a" * 64 + b"\t../secret.jpg",
        b"0\t10\t" + b"a" * 64 + b"\t/etc/passwd",
        b"0\t99999999999\t" + b"a" * 64 + b"\ttrain/x.jpg",
        b"0\tten\t" + b"a" * 64 + b"\ttrain/x.jpg",
        b"0\t10\ttrain/x.jpg",
    ],
)
def test_a_hostile_line_of_an_index_leads_nowhere(line: bytes) -> None:
    with pytest.raises(DataError, match="line 2"):
        Index(HEAD + line + b"\n", 1, "here").picture(0)


@pytest.mark.parametrize("content", [b"", HEAD, HEAD + b"7\t1\ta\tb\n", HEAD + b"x\n", HEAD + b"0\t1\ta\tb", b"\n\n\n"])
def test_what_is_no_index_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="not an index"):
        Index(content, 3, "here")


def test_an_altered_index_is_refused(project: Path) -> None:
    path = project / "data" / "small" / "train.tsv"
    path.write_bytes(path.read_bytes().replace(b"n01440764_0.", b"n01440764_9."))
    with pytest.raises(DataError, match="not the index that dataset"):
        images(project)


def test_what_would_not_fit_in_memory_is_refused_before_a_picture_is_opened(project: Path) -> None:
    with pytest.raises(DataError, match="do not fit"):
        images(project).take(torch.zeros(1, dtype=torch.int64).expand(3_000_000))


PEAK = """
import resource, sys, torch
from pathlib import Path
from ticketlab.datasets.chosen import Chosen
from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.streamed import opened
from ticketlab.randomness import Key

project = Path(sys.argv[1])
source = opened(project, read_manifest(project, "many"), "train", 448, "resize", Chosen(), torch.device("cpu"), 0)
with source.stream(8, Key(0), []) as (stream, _):
    stream.at(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(len(source) // 8):
        stream.at(number)
    for part in source.parts(8):
        pass
    print(len(source), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path, photographs: Make) -> None:
    """128 images of 448 pixels are 73 MiB as bytes; passing through all of them twice adds next to nothing."""
    source = photographs(tmp_path / "photographs", train=2, classes=CLASSES[:1])
    folder = source / "train" / CLASSES[0]
    for number in range(126):
        os.link(folder / f"{CLASSES[0]}_0.JPEG", folder / f"more_{number}.JPEG")
    add("imagenet", tmp_path / "project", source, as_name="many", size=None)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "project")], capture_output=True, text=True, check=True
    )
    count, grown = map(int, done.stdout.split())
    assert count == 128
    assert grown < 30, f"{grown} MiB"


def test_the_moments_are_those_that_everybody_scales_imagenet_by(project: Path) -> None:
    manifest: Manifest = read_manifest(project, "small")
    assert (manifest.mean, manifest.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_chosen_classes_are_opened_under_the_places_they_have_in_the_list(project: Path) -> None:
    whole = images(project)
    found = images(project, classes=(2, 0))
    assert found.labels.tolist() == [1] * 6 + [0] * 6
    numbers = torch.tensor([*range(6), *range(12, 18)])
    assert torch.equal(found.take(torch.arange(12)), whole.take(numbers))
    kept = images(project, kept=torch.tensor([0, 11]), classes=(2, 0))
    assert kept.labels.tolist() == [1, 0]
    assert torch.equal(kept.take(torch.arange(2)), whole.take(torch.tensor([0, 17])))
    assert set(images(project, "test", classes=(2, 0)).labels.tolist()) == {0, 1}
    assert are_equal(batches(found, [0, 3]), batches(images(project, workers=2, classes=(2, 0)), [0, 3]))
