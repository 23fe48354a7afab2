"""Trees of original files: folders and archives answer alike, and damaged or hostile archives are refused."""

import io
import struct
import tarfile
import zipfile

import pytest

from ticketlab.datasets import tree
from ticketlab.datasets.tree import Folder, Tar, Zip, find
from ticketlab.errors import DataError

FILES = {"top/sign": b"x", "top/a/one": b"first", "top/a/two": b"second", "top/b/three": b"", "else/sign": b"y"}


def tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def zipped(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.fixture(params=["folder", "tar", "zip"])
def opened(request, tmp_path):
    if request.param == "tar":
        return Tar(tar(tmp_path / "x.tar", FILES.items()), "top/")
    if request.param == "zip":
        return Zip(zipped(tmp_path / "x.zip", FILES.items()), "top/")
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return Folder(tmp_path / "top")


def test_folders_and_archives_answer_alike(opened):
    assert opened.inside("a") == ["one", "two"]
    assert opened.inside("c") == []
    assert opened.has("sign")
    assert opened.has("b/three")
    assert not opened.has("a")
    assert opened.read("a/two", 6) == b"second"
    assert opened.read("b/three", 0) == b""
    with pytest.raises(DataError, match="6 bytes where at most 5"):
        opened.read("a/two", 5)
    with pytest.raises(DataError, match="no such file"):
        opened.read("a/four", 5)


@pytest.mark.parametrize(("make", "kind"), [(tar, "x.tar"), (zipped, "x.zip")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(tmp_path, make, kind):
    path = make(tmp_path / kind, [("top/sign", b"1"), ("top/sign", b"2"), ("top/a", b"3")])
    found = find(path, "top", "none", "sign")
    assert found.read("a", 1) == b"3"
    with pytest.raises(DataError, match="twice"):
        found.read("sign", 1)


@pytest.mark.parametrize(("make", "kind"), [(tar, "x.tar"), (zipped, "x.zip")])
def test_a_damaged_archive_is_refused_however_it_is_cut(tmp_path, make, kind):
    whole = make(tmp_path / kind, [(name, content * 2000) for name, content in FILES.items()]).read_bytes()
    for length in (0, 1, 100, len(whole) // 3, len(whole) // 2, 2 * len(whole) // 3):
        (tmp_path / kind).write_bytes(whole[:length])
        with pytest.raises(DataError):
            find(tmp_path / kind, "top", "none", "sign").read("a/two", 12_000)


def test_a_changed_byte_of_a_zip_is_noticed(tmp_path):
    path = zipped(tmp_path / "x.zip", [("top/sign", b"abcdefgh" * 9)], zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"abcd", b"abce", 1))
    with pytest.raises(DataError, match="not a whole archive"):
        find(path, "top", "none", "sign").read("sign", 100)


def test_a_bomb_is_unpacked_no_further_than_the_limit(tmp_path):
    path = zipped(tmp_path / "x.zip", [("top/sign", bytes(1 << 26))])
    assert path.stat().st_size < 1 << 17
    with pytest.raises(DataError, match="bytes where at most 100"):
        Zip(path, "top/").read("sign", 100)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_tar_that_lies_about_the_length_of_a_header_is_refused(tmp_path, kind):
    header = tarfile.TarInfo("long")
    header.type, header.size = kind, 1 << 45
    (tmp_path / "x.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(DataError, match="not a whole archive"):
        Tar(tmp_path / "x.tar", "")


def test_a_zip_that_lies_about_a_length_is_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", [("top/sign", bytes(5000))])
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 5000), struct.pack("<I", 50)))
    with pytest.raises(DataError):
        Zip(path, "top/").read("sign", 100)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_do_not_stand_in_for_files(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        entry = tarfile.TarInfo("top/sign")
        entry.type, entry.linkname = kind, "/etc/hostname"
        archive.addfile(entry)
    with pytest.raises(DataError, match="no file top/sign"):
        find(tmp_path / "x.tar", "top", "none", "sign")


@pytest.mark.parametrize(("make", "kind"), [(tar, "x.tar"), (zipped, "x.zip")])
def test_too_many_members_are_refused(tmp_path, monkeypatch, make, kind):
    monkeypatch.setattr(tree, "MOST_FILES", 3)
    with pytest.raises(DataError, match="more than 3 members"):
        find(make(tmp_path / kind, FILES.items()), "top", "none", "sign")
