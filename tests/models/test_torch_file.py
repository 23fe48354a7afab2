"""Weights that torch saved are read as they were, and a file that is anything else does nothing but be refused."""

import io
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from ticketlab.errors import DataError
from ticketlab.models.torch_file import read_state_dict

LAYOUTS = [True, False]
TYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def saved(path, value, zipped=True):
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


def same(read, expected):
    assert list(read) == list(expected)
    for name, tensor in expected.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


@pytest.fixture(params=LAYOUTS, ids=["zip", "old"])
def zipped(request):
    return request.param


def test_a_state_dict_is_read_as_it_was(tmp_path, zipped):
    expected = network().state_dict()
    read = read_state_dict(saved(tmp_path / "w.pth", expected, zipped))
    same(read, expected)
    missing, unexpected = network().load_state_dict(read)
    assert (missing, unexpected) == ([], [])


def test_every_type_and_shape_is_read(tmp_path, zipped):
    source = torch.Generator().manual_seed(1)
    expected = {str(kind): torch.randint(0, 2, (3, 4), generator=source).to(kind) for kind in TYPES}
    expected |= {"scalar": torch.tensor(2.5), "none": torch.empty(0, 3), "parameter": nn.Parameter(torch.ones(2))}
    read = read_state_dict(saved(tmp_path / "w.pth", expected, zipped))
    same(read, expected)
    assert not any(tensor.requires_grad for tensor in read.values())


def test_views_layouts_and_shared_memory_are_read_as_they_were(tmp_path, zipped):
    whole = torch.arange(24.0)
    image = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    expected = {"part": whole[6:18].view(3, 4).t(), "whole": whole, "again": whole, "image": image}
    read = read_state_dict(saved(tmp_path / "w.pth", expected, zipped))
    same(read, expected)
    read["whole"][6] = -1
    assert read["part"][0, 0] == read["again"][6] == -1
    assert read["image"].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("section", ["state_dict", "model"])
def test_a_section_beside_what_training_scripts_keep_is_found(tmp_path, zipped, section):
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    beside = {"epoch": 200, "arch": "resnet50", "best": 0.5, "optimizer": optimizer.state_dict(), "amp": None}
    path = saved(tmp_path / "w.pth", {**beside, section: net.state_dict()}, zipped)
    read = read_state_dict(path)
    same(read, net.state_dict())
    assert not any(name.startswith(("optimizer", "epoch")) for name in read), "what lies beside it is left there"


def test_a_scripted_module_is_read_like_its_state_dict(tmp_path):
    net = network()[:2].half().float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(net.eval(), torch.ones(1, 3, 4, 4)), tmp_path / "w.pt")
    read = read_state_dict(tmp_path / "w.pt")
    assert {name: tensor.tolist() for name, tensor in read.items()} == {
        name: tensor.tolist() for name, tensor in net.state_dict().items()
    }


def test_the_global_generator_and_the_default_type_do_not_matter(tmp_path):
    expected = network().state_dict()
    path = saved(tmp_path / "w.pth", expected)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            read = read_state_dict(path)
    finally:
        torch.set_default_dtype(torch.float32)
    same(read, expected)
    assert {tensor.device.type for tensor in read.values()} == {"cpu"}, "and none on the device that was current"


class Trap:
    """An object whose unpickling would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize("place", ["beside", "inside", "alone"])
def test_code_in_a_file_is_not_run(tmp_path, zipped, place):
    trap = Trap(str(tmp_path / "sprung"))
    value = {
        "beside": {"state_dict": network().state_dict(), "args": trap},
        "inside": {**network().state_dict(), "x": trap},
        "alone": trap,
    }[place]
    path = saved(tmp_path / "w.pth", value, zipped)
    with pytest.raises(DataError, match="not allowed") as caught:
        read_state_dict(path)
    assert caught.value.where == str(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "value", [[torch.ones(1)], {}, {"a": 1}, {"a": {"b": torch.ones(1)}}, {3: torch.ones(1)}, "text"]
)
def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path, zipped, value):
    with pytest.raises(DataError):
        read_state_dict(saved(tmp_path / "w.pth", value, zipped))


@pytest.mark.parametrize(
    "value", [torch.ones(2).to_sparse(), torch.complex(torch.ones(2), torch.ones(2)), torch.ones(2, device="meta")]
)
def test_tensors_of_other_kinds_are_refused(tmp_path, zipped, value):
    with pytest.raises(DataError):
        read_state_dict(saved(tmp_path / "w.pth", {"a": value}, zipped))


def test_files_that_are_missing_empty_or_something_else_are_refused(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"weights" * 99)
    (tmp_path / "pickle").write_bytes(pickle.dumps({"a": 1}))
    for name in ("missing", "empty", "text", "pickle", "."):
        with pytest.raises(DataError):
            read_state_dict(tmp_path / name)


def test_a_file_that_is_cut_anywhere_is_refused(tmp_path, zipped):
    content = saved(tmp_path / "w.pth", {"a": torch.arange(40.0), "b": torch.ones(3)}, zipped).read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(DataError):
            read_state_dict(tmp_path / "cut")


@pytest.mark.parametrize("harm", ["flip", "compressed", "twice", "no pickle", "short", "long", "big-endian", "after"])
def test_a_damaged_archive_is_refused(tmp_path, harm):
    entries = {}
    with zipfile.ZipFile(saved(tmp_path / "w.pth", {"a": torch.arange(40.0)})) as archive:
        folder = archive.namelist()[0].split("/")[0]
        entries = {name: archive.read(name) for name in archive.namelist()}
    data, described = f"{folder}/data/0", f"{folder}/data.pkl"
    entries[data] = {"short": entries[data][:-4], "long": entries[data] + b"1234"}.get(harm, entries[data])
    entries[described] += b"N." if harm == "after" else b""
    if harm == "big-endian":
        entries[f"{folder}/byteorder"] = b"big"
    if harm == "no pickle":
        del entries[described]
    way = zipfile.ZIP_DEFLATED if harm == "compressed" else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "x", "w", way) as archive:
        warnings.simplefilter("ignore")
        for name, content in [*entries.items(), *(entries.items() if harm == "twice" else ())]:
            archive.writestr(name, content)
    if harm == "flip":
        content = bytearray((tmp_path / "x").read_bytes())
        content[content.index(entries[data]) + 9] ^= 1
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError):
        read_state_dict(tmp_path / "x")


def archive_of(path, described, storages):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", described)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)
    return path


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor(offset, shape, strides, count=4, key="0"):
    """The pickle of one float32 tensor in a storage said to have `count` numbers."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(count) + b"tQ"
    sizes, steps = (b"(" + b"".join(map(number, values)) + b"t" for values in (shape, strides))
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + sizes + steps + b"\x89" + hooks + b"tR"


def dictionary(*entries):
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in entries) + b"u."


def test_a_hand_made_pickle_is_read(tmp_path):
    path = archive_of(tmp_path / "w", dictionary(("a", tensor(1, (3,), (1,)))), {"0": struct.pack("<4f", 1, 2, 3, 4)})
    assert read_state_dict(path)["a"].tolist() == [2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    "described",
    [
        tensor(0, (5,), (1,)),
        tensor(2, (3,), (1,)),
        tensor(0, (2, 2), (3, 1)),
        tensor(-1, (2,), (1,)),
        tensor(0, (-1,), (1,)),
        tensor(3, (4,), (-1,)),
        tensor(0, (2**40, 2**40), (0, 0)),
        tensor(0, (1,) * 17, (1,) * 17),
        tensor(0, (2,), (1, 1)),
        tensor(0, (2**62,), (1,), count=2**62),
        tensor(0, (4,), (1,), count=-4),
        tensor(0, (4,), (1,), key="../data.pkl"),
        tensor(0, (4,), (1,), key="1"),
    ],
)
def test_a_tensor_outside_its_storage_or_a_storage_outside_the_file_is_refused(tmp_path, described):
    with pytest.raises(DataError):
        read_state_dict(archive_of(tmp_path / "w", dictionary(("a", described)), {"0": bytes(16)}))


def test_one_storage_described_in_two_ways_is_refused(tmp_path):
    entries = dictionary(("a", tensor(0, (4,), (1,))), ("b", tensor(0, (2,), (1,), count=2)))
    with pytest.raises(DataError, match="two ways"):
        read_state_dict(archive_of(tmp_path / "w", entries, {"0": bytes(16)}))


LAUGHS = b"\x80\x02]q\x00" + b"".join(
    b"]q" + bytes([n + 1]) + b"(" + b"h" + bytes([n]) + b"h" + bytes([n]) + b"e" for n in range(100)
)


@pytest.mark.parametrize(
    "described",
    [
        b"\x80\x02}q\x00(X\x01\x00\x00\x00ah\x00u.",
        b"\x80\x02(((((.",
        b"\x80\x02}.",
        b"\x80\x02N.",
        b"\x80\x02" + b"]" * 10 + b".",
        b"\x80\x02)" + b"\x85" * 200_000 + b".",
        b"\x80\x02(" + b"}" * 300_000 + b"t.",
        b"\x80\x02" + b"N0" * 1_500_000 + b".",
        LAUGHS + b".",
        b"\x80\x02}" + text("a") + LAUGHS[2:] + b"s.",
        b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R.",
        b"\x80\x02c__torch__\nM\n)\x81}q\x00(" + text("a") + b"c__torch__\nM\n)\x81ub.",
        b"\x80\x02cos\nsystem\n)\x81.",
        b"\x80\x02c__torch__\nM\n)R.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02c__builtin__\neval\n.",
        b"\x80\x02c" + b"a" * 5_000_000 + b"\nb\n.",
        b"\x80\x02\x8b\xff\xff\xff\x7f1.",
        b"\x80\x02X\xff\xff\xff\xffa.",
        b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}.",
        b"\x80\x02\x8aM" + b"\xff" * 77 + b".",
        b"",
        b"garbage",
    ],
    ids=range(23),
)
def test_hostile_pickles_are_refused_quickly(tmp_path, described):
    with pytest.raises(DataError):
        read_state_dict(archive_of(tmp_path / "w", described, {}))


MODULE = b"c__torch__\nM\n)\x81"


def test_modules_that_contain_themselves_or_double_at_every_level_are_refused(tmp_path):
    itself = b"\x80\x02" + MODULE + b"q\x00}" + text("a") + b"h\x00sb."
    nested = MODULE
    for place in range(60):
        # Each module's attributes `a` and `b` are one and the same module: 2**60 names for 61 modules.
        remembered = nested + b"q" + bytes([place])
        nested = MODULE + b"}(" + text("a") + remembered + text("b") + b"h" + bytes([place]) + b"ub"
    for described in (itself, b"\x80\x02" + nested + b"."):
        with pytest.raises(DataError, match="contain each other"):
            read_state_dict(archive_of(tmp_path / "w", described, {}))


def test_an_old_file_whose_storages_are_missing_unnamed_or_too_many_is_refused(tmp_path):
    content = saved(tmp_path / "w", {"a": torch.arange(4.0)}, zipped=False).read_bytes()
    start = content.index(struct.pack("<q", 4) + struct.pack("<4f", 0, 1, 2, 3))
    for harmed in (
        content + b"x",
        content[:start],
        content[:start] + struct.pack("<q", 2**60) + content[start + 8 :],
        content[:start] + struct.pack("<q", -4) + content[start + 8 :],
    ):
        (tmp_path / "x").write_bytes(harmed)
        with pytest.raises(DataError):
            read_state_dict(tmp_path / "x")


ZIP = io.BytesIO()
torch.save(OrderedDict(a=torch.arange(6.0).view(2, 3), b=torch.tensor(1)), ZIP)
OLD = io.BytesIO()
torch.save(OrderedDict(a=torch.arange(6.0).view(2, 3)), OLD, _use_new_zipfile_serialization=False)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), whole=st.sampled_from([ZIP.getvalue(), OLD.getvalue()]))
def test_a_file_with_any_bytes_changed_is_read_or_refused_and_nothing_else(tmp_path, data, whole):
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "x").write_bytes(content)
    try:
        read = read_state_dict(tmp_path / "x")
    except DataError:
        return
    assert all(tensor.untyped_storage().nbytes() <= len(content) for tensor in read.values())
