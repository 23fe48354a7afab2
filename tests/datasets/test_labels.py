"""Every kind of label: what is refused, how they follow their images, which class an image is drawn as."""

import json

import pytest
import torch
from torch.nn.functional import interpolate

from ticketlab.datasets.batches import prepare
from ticketlab.datasets.labels import CLASSES, MAPS, labelling_of
from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.pack import Split, read_split, write_pack
from ticketlab.datasets.shape import ImageShape
from ticketlab.datasets.subset import draw
from ticketlab.datasets.synthetic import LARGEST, stand_in
from ticketlab.errors import DataError
from ticketlab.label_map import UNLABELLED
from ticketlab.randomness import Key
from ticketlab.spec.catalog import KNOWN, DatasetFacts, facts
from ticketlab.spec.labelling import label_kinds

NAMES = ("sky", "cat", "dog")


def noise(*shape):
    return torch.randint(0, 256, shape, generator=Key(0).generator(), dtype=torch.uint8)


def maps(count=4, size=8, classes=3):
    drawn = torch.randint(0, classes + 1, (count, size, size), generator=Key(1).generator(), dtype=torch.uint8)
    return drawn.masked_fill(drawn == classes, UNLABELLED)


def pack(project, split):
    splits = {"train": split, "test": split}
    return write_pack(project, "pets", splits, class_names=NAMES, licence="mine", source="made up")


@pytest.mark.parametrize("kind", label_kinds())
def test_examples_are_valid_hold_every_class_and_come_back_from_a_pack(kind, tmp_path):
    labelling, images = labelling_of(kind), noise(5, 3, 8, 8)
    labels = labelling.example(5, ImageShape(3, 8, 3))
    assert set(labels.unique().tolist()) - {UNLABELLED} == {0, 1, 2}
    assert pack(tmp_path, Split(images, labels, labelling)).labels == kind
    found = read_split(tmp_path, "pets", "train")
    assert found.labelling is labelling
    assert torch.equal(found.labels, labels)
    assert facts("pets", tmp_path).labels == kind


def test_a_description_without_the_entry_is_of_classes_and_one_of_an_unknown_kind_is_refused(tmp_path):
    pack(tmp_path, Split(noise(4, 3, 8, 8), torch.tensor([0, 1, 2, 1])))
    path = tmp_path / "data" / "pets" / "dataset.json"
    described = json.loads(path.read_text())
    del described["labels"]
    path.write_text(json.dumps(described))
    assert read_manifest(tmp_path, "pets").labels == facts("pets", tmp_path).labels == "class"
    assert read_split(tmp_path, "pets", "train").labelling is CLASSES
    path.write_text(json.dumps({**described, "labels": "boxes"}))
    for read in (read_manifest, lambda project, name: facts(name, project)):
        with pytest.raises(DataError):
            read(tmp_path, "pets")
    path.write_text(json.dumps({**described, "labels": "map"}))
    with pytest.raises(DataError, match="not the one that was packed"):
        read_split(tmp_path, "pets", "train")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (maps().long(), "uint8, one as large"),
        (maps(3), "uint8, one as large"),
        (maps(size=7), "uint8, one as large"),
        (maps(classes=4), "0 to 2, or 255"),
        (maps().masked_fill(maps() == 0, 254), "0 to 2, or 255"),
    ],
    ids=["type", "count", "size", "class", "unknown"],
)
def test_maps_that_cannot_be_those_of_the_images_are_not_packed(tmp_path, labels, says):
    with pytest.raises(DataError, match=says):
        pack(tmp_path, Split(noise(4, 3, 8, 8), labels, MAPS))
    assert not (tmp_path / "data").exists()


def test_training_and_test_images_have_one_kind_of_label(tmp_path):
    images = noise(4, 3, 8, 8)
    splits = {"train": Split(images, maps(), MAPS), "test": Split(images, torch.zeros(4, dtype=torch.int64))}
    with pytest.raises(DataError, match="kind of their labels"):
        write_pack(tmp_path, "pets", splits, class_names=NAMES, licence="", source="")


def test_maps_take_the_nearest_class_of_pixels_whose_centres_lie_alike():
    found = maps(size=6)
    doubled = MAPS.fitted(found, 12, "resize")
    assert torch.equal(doubled, found.repeat_interleave(2, 1).repeat_interleave(2, 2))
    assert torch.equal(MAPS.fitted(doubled, 4, "resize"), doubled[:, 1::3, 1::3])
    places = ((torch.arange(7) + 0.5) * 6 / 7).long()
    assert torch.equal(MAPS.fitted(found, 7, "resize"), found[:, places][:, :, places])
    assert torch.equal(MAPS.fitted(found, None, "resize"), found)


def test_maps_stay_on_their_images_at_every_size():
    """An edge of an image of its own map lies where the map's does: bilinear means on either side are nearer to it."""
    found = torch.zeros(1, 8, 8, dtype=torch.uint8)
    found[:, 2:7, 3:6] = 200
    for size in (5, 12, 16, 31):
        image = prepare(found.unsqueeze(1), size, "resize", "cpu")[:, 0]
        fitted = MAPS.fitted(found, size, "resize")
        certain = interpolate(found[:, None].float(), (size, size), mode="bilinear", antialias=True)[:, 0]
        clear = (certain < 40) | (certain > 160)
        assert clear.float().mean() > 0.6
        assert torch.equal(fitted[clear] == 200, image[clear] > 100)


@pytest.mark.parametrize("size", [8, 9, 13])
def test_a_border_around_the_images_has_no_label(size):
    found = maps()
    padded, image = MAPS.fitted(found, size, "pad"), prepare(noise(4, 1, 8, 8) | 1, size, "pad", "cpu")[:, 0]
    assert torch.equal(padded[image > 0].view(found.shape), found)
    assert (padded[image == 0] == UNLABELLED).all()
    with pytest.raises(DataError, match="cannot be padded"):
        MAPS.fitted(found, 4, "pad")


def test_a_map_is_drawn_as_the_class_that_the_fewest_maps_show():
    shown = [{0}, {0, 1}, {0, 1, 2}, {0, 2}, {0, 1}, set(), {2, 4}]
    found = torch.full((7, 3, 3), UNLABELLED, dtype=torch.uint8)
    for row, classes in zip(found, shown, strict=True):
        for position, label in enumerate(classes):
            row[position] = label
    counts = {label: sum(label in classes for classes in shown) for label in range(5)}
    expected = [min(classes, key=lambda label: (counts[label], label), default=UNLABELLED) for classes in shown]
    assert MAPS.shown(found).tolist() == expected == [0, 1, 1, 2, 1, UNLABELLED, 4]
    assert CLASSES.shown(torch.tensor([2, 0])).tolist() == [2, 0]


def test_a_balanced_subset_of_maps_has_equally_many_of_each_class_they_are_drawn_as():
    classes = MAPS.shown(MAPS.example(60, ImageShape(3, 8, 6)))
    kept = draw(classes, 18, "balanced", Key(2))
    counts = torch.bincount(classes[kept])
    assert counts[counts > 0].max() - counts[counts > 0].min() <= 1
    assert counts.sum() == 18


def test_noise_stands_in_for_label_maps_at_a_size_that_is_quickly_written(tmp_path):
    dataset = DatasetFacts("scenes", "", 3, 300, 21, 9, 9, "", "", labels="map")
    found = read_split(tmp_path, stand_in(dataset, tmp_path), "train")
    assert found.images.shape[1:] == (3, LARGEST, LARGEST)
    assert found.labelling is MAPS
    assert set(found.labels.unique().tolist()) == {*range(21), UNLABELLED}
    assert KNOWN["cifar10"].labels == "class"
