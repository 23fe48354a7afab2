"""Reading original files: exact ones are read, all others are refused early with a DataError."""

import gzip
import io
import os
import struct
import tarfile
import time
from contextlib import suppress

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ticketlab.datasets import idx
from ticketlab.datasets.archive import read_gzip, read_members
from ticketlab.datasets.idx import read_idx
from ticketlab.errors import DataError


def idx_bytes(shape, fill=b"\x05", magic=None):
    header = struct.pack(">HBB", 0, 8, len(shape)) if magic is None else magic
    return header + struct.pack(f">{len(shape)}I", *shape) + fill * torch.Size(shape).numel()


def tar_gz(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def test_idx_files_are_read_plain_and_gzipped(tmp_path):
    content = idx_bytes((2, 3, 4), fill=b"")[:16] + bytes(range(24))
    plain, packed = tmp_path / "a", tmp_path / "a.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    expected = torch.arange(24, dtype=torch.uint8).view(2, 3, 4)
    assert torch.equal(read_idx(plain, (2, 3, 4)), expected)
    assert torch.equal(read_idx(packed, (2, 3, 4)), expected)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (idx_bytes((5, 4, 4), magic=b"\x00\x00\x0d\x03"), "begins with 00000d03"),
        (idx_bytes((80,)), "begins with 00000801"),
        (idx_bytes((4, 5, 4)), r"header says \(4, 5, 4\), expected \(5, 4, 4\)"),
        (idx_bytes((5, 4, 4))[:-1], "holds 95 bytes, expected 96"),
        (idx_bytes((5, 4, 4)) + b"x", "than|at most"),
        (idx_bytes((5, 4, 4))[:9], "header says"),
        (b"", "begins with nothing"),
        (b"<html>not found</html>", "begins with 3c68746d"),
    ],
    ids=["type", "dimensions", "shape", "short", "long", "stump", "empty", "page"],
)
def test_a_wrong_idx_file_is_refused_with_what_was_expected(tmp_path, content, says, packed):
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=says) as caught:
        read_idx(path, (5, 4, 4))
    assert caught.value.where == str(path)


def test_a_damaged_gzip_is_refused(tmp_path):
    whole = gzip.compress(os.urandom(1000))
    path = tmp_path / "a.gz"
    for content in (whole[:-5], whole[:100], b"plain text", whole[:500] + b"\x00\x00" + whole[502:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a whole gzip"):
            read_gzip(path, 1000)


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as handle:
        for _ in range(256):
            handle.write(bytes(1 << 20))
    began = time.perf_counter()
    with pytest.raises(DataError, match="unpacks to more"):
        read_gzip(path, 10_000_000)
    assert time.perf_counter() - began < 1


def test_a_file_far_too_long_is_not_opened(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as handle:
        handle.truncate(1 << 40)
    with pytest.raises(DataError, match="at most"):
        read_idx(path, (5, 4, 4))
    with pytest.raises(DataError, match="at most"):
        read_gzip(path, 96)
    with pytest.raises(DataError, match="at most"):
        read_members(path, {"a": 1})


def test_a_pipe_or_a_folder_is_not_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(DataError, match="no such file"):
            read_idx(tmp_path / name, (1,))


def test_the_four_files_of_mnist_make_two_splits(tmp_path):
    for prefix, count in (("train", 60_000), ("t10k", 10_000)):
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes((count, 28, 28), fill=b"\x00"))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes((count,), fill=b"\x09")))
    splits = idx.read(tmp_path)
    assert splits["train"].images.shape == (60_000, 1, 28, 28)
    assert splits["test"].labels.tolist() == [9] * 10_000
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes((10_000,), fill=b"\x0a")))
    with pytest.raises(DataError, match="found 10"):
        idx.read(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="no t10k-labels-idx1-ubyte"):
        idx.read(tmp_path)


def test_members_are_taken_by_exact_name_and_nothing_is_written(tmp_path):
    path = tmp_path / "a.tar.gz"
    tar_gz(path, [("../evil", b"x"), ("/etc/evil", b"x"), ("d/a", b"one"), ("./d/b", b"no"), ("d/b", b"two")])
    assert read_members(path, {"d/a": 3, "d/b": 5}) == {"d/a": b"one", "d/b": b"two"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tar.gz"]


def test_archives_without_the_expected_members_are_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    tar_gz(path, [("d/a", b"one")])
    with pytest.raises(DataError, match="no file d/b"):
        read_members(path, {"d/a": 3, "d/b": 3})
    with pytest.raises(DataError, match="3 bytes where at most 2"):
        read_members(path, {"d/a": 2})
    tar_gz(path, [("d/a", b"one"), ("d/a", b"one")])
    with pytest.raises(DataError, match="twice"):
        read_members(path, {"d/a": 3})


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_and_folders_do_not_stand_in_for_files(tmp_path, kind):
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("d/a")
        entry.type, entry.linkname = kind, "/etc/hostname"
        archive.addfile(entry)
    with pytest.raises(DataError, match="not a regular file"):
        read_members(path, {"d/a": 100})


def test_archive_bombs_are_refused_early(tmp_path):
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as handle:
        entry = tarfile.TarInfo("padding")
        entry.size = 1 << 34
        handle.write(entry.tobuf())
        for _ in range(64):
            handle.write(bytes(1 << 20))
    began = time.perf_counter()
    with pytest.raises(DataError, match="far more"):
        read_members(path, {"d/a": 100})
    tar_gz(path, [(f"n{number}", b"") for number in range(1100)])
    with pytest.raises(DataError, match="members"):
        read_members(path, {"d/a": 100})
    assert time.perf_counter() - began < 3


def test_a_member_that_claims_far_more_than_there_is_does_not_take_for_ever(tmp_path):
    path = tmp_path / "a.tar.gz"
    entry = tarfile.TarInfo("padding")
    entry.size = 1 << 62
    path.write_bytes(gzip.compress(entry.tobuf(format=tarfile.GNU_FORMAT)))
    began = time.perf_counter()
    with pytest.raises(DataError, match="not a whole"):
        read_members(path, {"d/a": 100})
    assert time.perf_counter() - began < 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12), st.integers(0, 4000))
def test_no_corruption_of_an_archive_escapes_as_another_error(tmp_path, changes, cut):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("d/a")
        entry.size, entry.pax_headers = 600, {"comment": "x" * 600, "size": "600"}
        archive.addfile(entry, io.BytesIO(b"y" * 600))
    content = bytearray(buffer.getvalue())
    for position, value in changes:
        content[position % 2560] = value
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(bytes(content[: len(content) - cut]), compresslevel=1))
    with suppress(DataError):
        assert set(read_members(path, {"d/a": 600})) == {"d/a"}
