"""Adding a dataset to a project."""

import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ticketlab.datasets.pack import Split, read_split
from ticketlab.datasets.sources import add, first_that_works
from ticketlab.errors import DataError
from ticketlab.spec.catalog import facts

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_fashion_mnist_mini.py"


def pictures(root: Path) -> Path:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(np.full((20, 30, 3), 10 * number, dtype=np.uint8)).save(root / name / f"{number}.jpg")
    return root


def blank_mnist(root: Path) -> Path:
    root.mkdir()
    for prefix, count in (("train", 60_000), ("t10k", 10_000)):
        images = struct.pack(">HBBIII", 0, 8, 3, count, 28, 28) + bytes(count * 784)
        labels = struct.pack(">HBBI", 0, 8, 1, count) + bytes(range(10)) * (count // 10)
        (root / f"{prefix}-images-idx3-ubyte").write_bytes(images)
        (root / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
    return root


def test_an_image_folder_is_packed_under_its_own_name_or_another(tmp_path):
    source = pictures(tmp_path / "Pets")
    manifest = add("imagefolder", tmp_path, source, as_name=None, size=16)
    assert (manifest.name, manifest.classes, manifest.counts) == ("pets", ("cat", "dog"), {"train": 18, "test": 2})
    again = add("imagefolder", tmp_path, source, as_name="my-pets", size=16)
    assert again.sha256 == manifest.sha256
    assert read_split(tmp_path, "my-pets", "train").images.shape == (18, 3, 16, 16)
    assert facts("my-pets", tmp_path).size == 16


def test_image_folders_need_a_folder_a_size_and_a_free_name(tmp_path):
    source = pictures(tmp_path / "pets")
    with pytest.raises(DataError, match="must be given"):
        add("imagefolder", tmp_path, None, as_name=None, size=16)
    for size in (None, 4, 1000):
        with pytest.raises(DataError, match="8 to 512"):
            add("imagefolder", tmp_path, source, as_name=None, size=size)
    with pytest.raises(DataError, match="known dataset"):
        add("imagefolder", tmp_path, source, as_name="mnist", size=16)
    with pytest.raises(DataError, match="cannot be the name"):
        add("imagefolder", tmp_path, source, as_name="../pets", size=16)


def test_a_known_dataset_is_taken_in_its_own_size_and_not_under_another_known_name(tmp_path):
    with pytest.raises(DataError, match="own size"):
        add("mnist", tmp_path, tmp_path, as_name=None, size=16)
    with pytest.raises(DataError, match="known dataset"):
        add("mnist", tmp_path, tmp_path, as_name="fashion-mnist", size=None)
    with pytest.raises(
        DataError,
        match="cannot be added; there are fashion-mnist, mnist, cifar10, cifar100, tiny-imagenet, voc2012, imagenet, imagefolder",
    ):
        add("lsun", tmp_path, tmp_path, as_name=None, size=None)


def test_files_of_the_right_form_with_other_images_are_refused_and_nothing_is_written(tmp_path):
    source = blank_mnist(tmp_path / "originals")
    for name in ("mnist", "fashion-mnist"):
        with pytest.raises(DataError, match=f"not the {name} that ticketlab knows"):
            add(name, tmp_path, source, as_name=None, size=None)
    assert not (tmp_path / "data").exists()
    manifest = add("mnist", tmp_path, source, as_name="blank", size=None)
    assert (manifest.mean, manifest.std) == ((0.0,), (0.0,))
    script = subprocess.run(
        [sys.executable, str(SCRIPT), str(source), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert script.returncode != 0
    assert "not the fashion-mnist-mini that ticketlab knows" in script.stderr
    assert not (tmp_path / "data" / "fashion-mnist-mini").exists()


def test_ways_to_download_are_tried_in_turn_and_all_named_when_all_fail():
    def fails(what):
        def attempt():
            raise DataError(what)

        return attempt

    def works():
        return {}

    assert first_that_works("x", [("one", fails("no host")), ("two", works), ("three", fails("never asked"))]) == {}
    with pytest.raises(DataError, match="x could not be downloaded; tried one: no host; two: no npm") as caught:
        first_that_works("x", [("one", fails("no host")), ("two", fails("no npm"))])
    assert "--from DIR" in caught.value.mend


def test_the_mini_set_is_the_first_of_each_class_in_file_order():
    spec = importlib.util.spec_from_file_location("make_fashion_mnist_mini", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    labels = torch.tensor([2, 0, 2, 1, 2, 0, 0, 1, 1, 2])
    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    kept = script.first_of_each_class(Split(images, labels), 2)
    assert kept.images.flatten().tolist() == [0, 1, 2, 3, 5, 7]
    assert kept.labels.tolist() == [2, 0, 2, 1, 0, 1]
