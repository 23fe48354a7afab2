"""CIFAR's two layouts: read as data, whatever form they come in; a pickle can do nothing here."""

import io
import os
import pickle
import struct
import tarfile
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.datasets import cifar
from ticketlab.datasets.cifar import CIFAR10, CIFAR100, decode_binary, decode_python
from ticketlab.datasets.pickled_arrays import PickledArray, read_dictionary
from ticketlab.errors import DataError

ROWS = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)
LABELS = [3, 0, 9, 3]


def python_batch(rows=ROWS, labels=LABELS, key=b"labels", protocol=2):
    names = [f"image_{number}.png".encode() for number in range(len(labels))]
    batch = {b"batch_label": b"training batch 1 of 5", key: labels, b"data": rows, b"filenames": names}
    return pickle.dumps(batch, protocol)


def text(content):
    return b"U" + bytes([len(content)]) + content


def python2_batch():
    """The instructions Python 2's pickler wrote: texts as bytes, one long string of pixels, memo marks everywhere."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85" + text(b"b") + b"\x87Rq\x03"
        b"(K\x01K\x04M\x00\x0c\x86cnumpy\ndtype\nq\x04" + text(b"u1") + b"K\x00K\x01\x87Rq\x05"
        b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + struct.pack("<i", ROWS.size) + ROWS.tobytes() + b"tb"
    )
    labels = b"]q\x06(" + b"".join(b"K" + bytes([label]) for label in LABELS) + b"e"
    return b"\x80\x02}q\x07(" + text(b"data") + array + text(b"labels") + labels + b"u."


def tiny(layout, count=4):
    files = {split: dict.fromkeys(names, count) for split, names in layout.files.items()}
    return replace(layout, files=files, most=layout.most + 1000)


def file_contents(layout):
    """A made-up file of the layout for every name it lists."""
    label_bytes = 2 if "100" in layout.folder else 1
    binary = b"".join(
        bytes(label_bytes - 1) + bytes([label]) + row.tobytes() for label, row in zip(LABELS, ROWS, strict=True)
    )
    python = python_batch(key=b"labels" if label_bytes == 1 else b"fine_labels")
    content = binary if layout.folder.endswith(("bin", "binary")) else python
    return {name: content for names in layout.files.values() for name in names}


@pytest.mark.parametrize("content", [python_batch(), python2_batch()], ids=["python3", "python2"])
def test_both_spellings_of_the_python_layout_are_read(content):
    found = decode_python(content, 4, "here", label_key="labels", classes=10)
    assert torch.equal(found.images, torch.from_numpy(ROWS.copy()).view(4, 3, 32, 32))
    assert found.labels.tolist() == LABELS
    assert pickle.loads(content, encoding="bytes")[b"labels"] == LABELS


def test_both_layouts_hold_the_same_images_in_every_form_of_source(tmp_path):
    for family in (CIFAR10, CIFAR100):
        for layout in map(tiny, family):
            contents = file_contents(layout)
            inside = tmp_path / layout.folder
            inside.mkdir()
            for name, content in contents.items():
                (inside / name).write_bytes(content)
            archives = tmp_path / f"{layout.folder}-archive"
            archives.mkdir()
            with tarfile.open(archives / layout.archive, "w:gz") as archive:
                archive.add(inside, arcname=layout.folder)
            for source in (inside, archives, archives / layout.archive):
                splits = cifar.read(source, (layout,))
                parts = len(layout.files["train"])
                assert splits["train"].labels.tolist() == LABELS * parts
                assert torch.equal(splits["test"].images, torch.from_numpy(ROWS.copy()).view(4, 3, 32, 32))
            assert cifar.read(tmp_path, (layout,))["test"].labels.tolist() == LABELS


def test_the_published_files_are_expected_at_their_full_length(tmp_path):
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    for name, count in (("train.bin", 50_000), ("test.bin", 10_000)):
        with (folder / name).open("wb") as handle:
            handle.truncate(count * 3074)
    splits = cifar.read(tmp_path, CIFAR100)
    assert splits["train"].images.shape == (50_000, 3, 32, 32)
    with (folder / "test.bin").open("wb") as handle:
        handle.truncate(10_000 * 3074 - 1)
    with pytest.raises(DataError, match="expected 10000 records of 3074"):
        cifar.read(tmp_path, CIFAR100)
    with (folder / "test.bin").open("wb") as handle:
        handle.truncate(10_000 * 3074 + 1)
    with pytest.raises(DataError, match="at most"):
        cifar.read(tmp_path, CIFAR100)


def test_absent_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"cifar-10-batches-bin/.*cifar-10-python.tar.gz"):
        cifar.read(tmp_path, CIFAR10)
    (tmp_path / "data_batch_1.bin").write_bytes(b"")
    with pytest.raises(DataError, match="no such file"):
        cifar.read(tmp_path, CIFAR10)


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(DataError, match="found 10"):
        decode_binary(b"\x0a" + bytes(3072), 1, "here", label_bytes=1, classes=10)
    for wrong in ([3, 0, 9, 10], [3, 0, 9, -1], [3, 0, 9], [3, 0, 9, True], [3, 0, 9, "3"], [3, 0, 9, 2**70], "abcd"):
        with pytest.raises(DataError, match="label"):
            decode_python(python_batch(labels=wrong), 4, "here", label_key="labels", classes=10)


def test_arrays_of_another_shape_type_or_order_are_refused():
    for rows in (ROWS[:3], ROWS.reshape(-1), ROWS.astype(np.int16), np.asfortranarray(ROWS), ROWS.tolist(), b"x"):
        with pytest.raises(DataError):
            decode_python(python_batch(rows=rows), 4, "here", label_key="labels", classes=10)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_without_running(tmp_path, protocol):
    trap = tmp_path / "trap"
    content = pickle.dumps({b"data": ROWS, b"labels": LABELS, b"x": Evil(str(trap))}, protocol)
    with pytest.raises(DataError):
        decode_python(content, 4, "here", label_key="labels", classes=10)
    assert not trap.exists()
    pickle.loads(content)
    assert trap.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x80\x02cos\nsystem\nq\x00.", "name 'os system' is not allowed"),
        (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00ascii\x86R.", "call of _codecs encode"),
        (b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x89\x88\x87R.", "call of numpy dtype"),
        (b"\x80\x02K\x01K\x02R.", "call of something"),
        (b"\x80\x02(ios\nsystem\n.", "instruction INST"),
        (b"\x80\x04}.", "instruction PROTO"),
        (b"\x80\x02}.x", "bytes after its end"),
        (b"\x80\x02].", "not one dictionary"),
        (b"\x80\x02}]K\x01s.", "dictionary with text keys"),
        (b"\x80\x02}K\x01a.", "not a list"),
        (b"\x80\x02}", "before seeing STOP"),
        (b"\x80\x02u.", "not a batch of images"),
        (b"\x80\x02t.", "not a batch of images"),
        (b"\x80\x02h\x05.", "not a batch of images"),
        (b"", "not a batch of images"),
        (b"<html>", "not a batch of images"),
    ],
)
def test_instructions_outside_the_few_are_refused(content, says):
    with pytest.raises(DataError, match=says):
        read_dictionary(content, "here")


def test_a_pickle_cannot_blow_up():
    text_once = b"X\x00\x00\x10\x00" + b"x" * (1 << 20) + b"q\x02"
    call = b"(c_codecs\nencode\nh\x02X\x06\x00\x00\x00latin1\x86R"
    with pytest.raises(DataError, match="more bytes than the file holds"):
        read_dictionary(b"\x80\x02}" + text_once + call * 50 + b".", "here")
    with pytest.raises(DataError, match="more than 1000000 instructions"):
        read_dictionary(b"\x80\x02" + b"(" * 1_100_000 + b".", "here")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 40))
def test_no_corruption_of_a_pickle_escapes_as_another_error(changes, cut):
    rows = np.arange(12, dtype=np.uint8).reshape(2, 6)
    content = bytearray(python_batch(rows=rows, labels=[1, 2]))
    for position, value in changes:
        content[position % len(content)] = value
    with suppress(DataError):
        found = read_dictionary(bytes(content[: len(content) - cut]), "here")
        inert = bytes | str | list | dict | tuple | int | PickledArray | None
        assert all(isinstance(value, inert) for value in found.values())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_garbage_is_never_read_as_a_pickle_of_images(garbage):
    with pytest.raises(DataError):
        decode_python(b"\x80\x02" + garbage, 4, "here", label_key="labels", classes=10)


def test_an_archive_of_the_python_layout_with_a_trap_is_refused(tmp_path):
    layout = tiny(CIFAR100[1])
    trap = tmp_path / "trap"
    contents = file_contents(layout) | {"test": pickle.dumps({b"data": Evil(str(trap))}, 2)}
    with tarfile.open(tmp_path / layout.archive, "w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"{layout.folder}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    with pytest.raises(DataError, match=r"name '.*mkdir' is not allowed"):
        cifar.read(tmp_path, (layout,))
    assert not trap.exists()
