"""Packs: the same bytes each time, whole or absent, and refused when they are not what was written."""

import hashlib
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.pack import Split, moments, read_split, write_pack
from ticketlab.errors import DataError
from ticketlab.spec.catalog import KNOWN


def split(count: int, channels: int = 3, size: int = 8, seed: int = 0) -> Split:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=draw)
    return Split(images, torch.arange(count) % 2)


def pack(project: Path, name: str = "pets", seed: int = 0):
    splits = {"train": split(10, seed=seed), "test": split(4, seed=seed + 1)}
    return write_pack(project, name, splits, class_names=("cat", "dog"), licence="mine", source="made up"), splits


def contents(project: Path) -> dict[str, bytes]:
    return {str(path.relative_to(project)): path.read_bytes() for path in project.rglob("*") if path.is_file()}


def test_what_is_written_is_what_is_read(tmp_path):
    manifest, splits = pack(tmp_path)
    assert read_manifest(tmp_path, "pets") == manifest
    assert (manifest.shape.channels, manifest.shape.size, manifest.shape.classes) == (3, 8, 2)
    for name in ("train", "test"):
        found = read_split(tmp_path, "pets", name)
        assert torch.equal(found.images, splits[name].images)
        assert torch.equal(found.labels, splits[name].labels)


def test_a_pack_is_three_files_whose_digests_it_states(tmp_path):
    manifest, _ = pack(tmp_path)
    files = contents(tmp_path)
    assert sorted(files) == [f"data/pets/{name}" for name in ("dataset.json", "test.safetensors", "train.safetensors")]
    for name in ("train", "test"):
        assert hashlib.sha256(files[f"data/pets/{name}.safetensors"]).hexdigest() == manifest.digest(name)
    described = json.loads(files["data/pets/dataset.json"])
    assert list(described) == sorted(described)


def test_the_same_images_give_the_same_bytes(tmp_path):
    pack(tmp_path / "one")
    pack(tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_layout_of_a_split_file_is_fixed(tmp_path):
    images = torch.arange(12, dtype=torch.uint8).view(3, 1, 2, 2)
    tiny = Split(images, torch.tensor([0, 1, 0]))
    write_pack(tmp_path, "tiny", {"train": tiny, "test": tiny}, class_names=("a", "b"), licence="", source="")
    header = (
        b'{"labels":{"dtype":"I64","shape":[3],"data_offsets":[0,24]},'
        b'"images":{"dtype":"U8","shape":[3,1,2,2],"data_offsets":[24,36]}}'
    )
    header += b" " * (-len(header) % 8)
    labels = b"".join(label.to_bytes(8, "little") for label in (0, 1, 0))
    expected = len(header).to_bytes(8, "little") + header + labels + bytes(range(12))
    assert (tmp_path / "data" / "tiny" / "train.safetensors").read_bytes() == expected


def test_a_new_pack_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path):
    pack(tmp_path, seed=0)
    _, splits = pack(tmp_path, seed=5)
    assert torch.equal(read_split(tmp_path, "pets", "train").images, splits["train"].images)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["pets"]


def test_a_failed_write_keeps_the_older_pack(tmp_path):
    _, splits = pack(tmp_path)
    before = contents(tmp_path)
    wrong = Split(splits["test"].images, splits["test"].labels + 2)
    with pytest.raises(DataError):
        write_pack(tmp_path, "pets", {**splits, "test": wrong}, class_names=("a", "b"), licence="", source="")
    assert contents(tmp_path) == before


def test_images_that_are_not_the_known_ones_are_not_packed_under_their_name(tmp_path):
    with pytest.raises(DataError, match="not the cifar10"):
        pack(tmp_path, "cifar10")
    assert not (tmp_path / "data").exists()


def test_pack_names_cannot_leave_the_data_folder(tmp_path):
    for name in ("../x", "", "a/b", ".hidden", "A"):
        with pytest.raises(DataError, match="cannot be the name"):
            pack(tmp_path, name)


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-1], lambda b: b[:10], lambda b: b"", lambda b: b + b"x" * 10_000, lambda b: b[:-1] + b"\x07"],
    ids=["short", "stump", "empty", "long", "altered"],
)
def test_a_damaged_file_is_refused_with_the_way_to_mend_it(tmp_path, damage):
    pack(tmp_path)
    path = tmp_path / "data" / "pets" / "train.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        read_split(tmp_path, "pets", "train")
    assert caught.value.where == str(path)
    assert "ticketlab data add" in caught.value.mend
    assert len(read_split(tmp_path, "pets", "test").labels) == 4


def test_without_check_an_altered_byte_passes_but_a_wrong_structure_does_not(tmp_path):
    pack(tmp_path)
    path = tmp_path / "data" / "pets" / "test.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    read_split(tmp_path, "pets", "test", check=False)
    path.write_bytes(b"\xff" * len(content))
    with pytest.raises(DataError):
        read_split(tmp_path, "pets", "test", check=False)
    path.write_bytes(safetensors.torch.save({"pixels": torch.zeros(4 * (3 * 64 + 8), dtype=torch.uint8)}))
    with pytest.raises(DataError, match="images and labels"):
        read_split(tmp_path, "pets", "test", check=False)


def test_a_missing_file_and_a_missing_pack_say_how_to_get_them(tmp_path):
    pack(tmp_path)
    (tmp_path / "data" / "pets" / "test.safetensors").unlink()
    for name in ("pets", "others"):
        with pytest.raises(DataError, match="not in this project") as caught:
            read_split(tmp_path, name, "test")
        assert f"--name {name}" in caught.value.mend
    with pytest.raises(DataError) as caught:
        read_split(tmp_path, "mnist", "test")
    assert caught.value.mend == "get it with `ticketlab data add mnist`"
    with pytest.raises(DataError) as caught:
        read_split(tmp_path, "fashion-mnist-mini", "test")
    assert "dvc pull" in caught.value.mend


def test_changed_moments_in_the_description_are_noticed(tmp_path):
    pack(tmp_path)
    path = tmp_path / "data" / "pets" / "dataset.json"
    described = json.loads(path.read_text())
    described["mean"][0] += 0.1
    path.write_text(json.dumps(described))
    with pytest.raises(DataError, match="mean and std"):
        read_split(tmp_path, "pets", "train")


def test_labels_beyond_the_classes_of_the_description_are_refused(tmp_path):
    pack(tmp_path)
    path = tmp_path / "data" / "pets" / "dataset.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "classes": ["cat"]}))
    with pytest.raises(DataError, match="labels"):
        read_split(tmp_path, "pets", "train")


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.sampled_from([1, 3]), st.integers(0, 2**32))
def test_moments_are_those_of_the_pixels(count, channels, seed):
    images = split(count, channels, seed=seed).images
    mean, std = moments(images)
    exact = images.double() / 255
    assert torch.allclose(torch.tensor(mean).double(), exact.mean((0, 2, 3)), atol=1e-9)
    assert torch.allclose(torch.tensor(std).double(), exact.std((0, 2, 3), correction=0), atol=1e-6)


def test_known_packs_have_a_manifest_before_they_are_there(tmp_path):
    for name, entry in KNOWN.items():
        if entry.pinned:
            manifest = read_manifest(tmp_path, name)
            assert manifest.digest("train") == entry.pinned.train
            assert manifest.counts == {"train": entry.train, "test": entry.test}
    with pytest.raises(DataError):
        read_manifest(tmp_path, "cifar100")


def test_a_pack_that_only_claims_a_known_name_is_refused(tmp_path):
    pack(tmp_path)
    folder = tmp_path / "data" / "mnist"
    (tmp_path / "data" / "pets").rename(folder)
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": "mnist"}))
    with pytest.raises(DataError, match=r"not the mnist that ticketlab knows: .*sha256"):
        read_manifest(tmp_path, "mnist")


def test_a_description_that_is_not_one_is_refused_with_the_field(tmp_path):
    pack(tmp_path)
    path = tmp_path / "data" / "pets" / "dataset.json"
    good = json.loads(path.read_text())
    wrongs = [
        {**good, "channels": 2},
        {**good, "name": "dogs"},
        {**good, "sha256": {"train": "0" * 64}},
        {**good, "sha256": {"train": "x", "test": "y"}},
        {**good, "size": "8"},
        {**good, "mean": [0.5]},
        {**good, "extra": 1},
        {},
        [],
    ]
    for wrong in wrongs:
        path.write_text(json.dumps(wrong))
        with pytest.raises(DataError) as caught:
            read_manifest(tmp_path, "pets")
        assert caught.value.where == str(path)
        assert caught.value.mend
    path.write_bytes(b"\xff\x00")
    with pytest.raises(DataError):
        read_manifest(tmp_path, "pets")
