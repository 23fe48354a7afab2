"""A finished step is whole or absent, whatever happens while it is finished, and what is damaged is noticed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ticketlab.errors import CorruptFile
from ticketlab.plan.steps import Step
from ticketlab.run import store as store_module
from ticketlab.run.store import Store


class Killed(BaseException):
    """What SIGKILL would be, if Python could see it."""


def outputs(store: Store, step: Step) -> Path:
    """A folder of outputs, as a performer leaves it."""
    out = store.root / "work" / step.digest / "out"
    out.mkdir(parents=True)
    (out / "a.bin").write_bytes(b"a" * 1000)
    (out / "b.json").write_text("{}")
    return out


def test_a_finished_step_is_found_with_the_digest_of_every_file(counting: Callable[..., Step], lab: Path) -> None:
    step, store = counting(1), Store(lab)
    assert not store.has(step)
    result = store.finish(step, outputs(store, step))
    for found in (result, store.result(step), Store(lab).result(step)):
        assert sorted(found.files) == ["a.bin", "b.json"]
        assert found.path("a.bin").read_bytes() == b"a" * 1000
    record = json.loads((store.folder(step) / "step.json").read_bytes())
    assert record["digest"] == step.digest
    assert record["asks"]["number"] == 1


def test_the_work_on_a_step_goes_when_it_is_finished_at_the_latest_when_it_is_asked_for_again(
    counting: Callable[..., Step], lab: Path
) -> None:
    step, store = counting(1), Store(lab)
    store.finish(step, outputs(store, step))
    with store.working(step) as work:
        (work / "checkpoint").write_bytes(b"left by a kill")
    assert not work.exists()


STAGES = ("fsync", "write_sealed", "rmtree", "replace", "sync_folder")


@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_at_any_stage_of_finishing_leaves_the_step_whole_or_absent(
    counting: Callable[..., Step], lab: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    step, store = counting(1), Store(lab)
    out = outputs(store, step)

    def killed(*_arguments: Any, **_options: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if stage == "fsync":
            patch.setattr(os, "fsync", killed)
        elif stage == "replace":
            patch.setattr(Path, "replace", killed)
        elif stage == "rmtree":
            store.folder(step).mkdir(parents=True)
            (store.folder(step) / "half.bin").write_bytes(b"")
            patch.setattr(shutil, "rmtree", killed)
        else:
            patch.setattr(store_module, stage, killed)
        with pytest.raises(Killed):
            store.finish(step, out)
    again = Store(lab)
    if again.has(step):
        assert sorted(again.result(step).files) == ["a.bin", "b.json"]
    else:
        with again.working(step) as work:
            assert sorted(path.name for path in (work / "out").iterdir() if path.suffix != ".part")[:2] == [
                "a.bin",
                "b.json",
            ]
        result = again.finish(step, work / "out")
        assert sorted(result.files) == ["a.bin", "b.json"]
        assert sorted(path.name for path in result.folder.iterdir()) == ["a.bin", "b.json", "step.json"]


def test_what_a_kill_left_of_an_atomic_write_is_no_output(counting: Callable[..., Step], lab: Path) -> None:
    step, store = counting(1), Store(lab)
    out = outputs(store, step)
    (out / ".a.bin.x1y2z3.part").write_bytes(b"half")
    (out / ".step.json.abcd.part").write_bytes(b"{")
    assert sorted(store.finish(step, out).files) == ["a.bin", "b.json"]
    assert not list(store.folder(step).glob(".*"))


@pytest.mark.parametrize("harm", ["flip", "cut", "lost", "record cut", "record foreign", "record lost"])
def test_damage_is_noticed(counting: Callable[..., Step], lab: Path, harm: str) -> None:
    step, store = counting(1), Store(lab)
    folder = store.finish(step, outputs(store, step)).folder
    file = folder / ("step.json" if "record" in harm else "a.bin")
    if harm == "flip":
        content = bytearray(file.read_bytes())
        content[500] ^= 1
        file.write_bytes(content)
    elif "lost" in harm:
        file.unlink()
    else:
        file.write_bytes(b"[]" if "foreign" in harm else file.read_bytes()[:-30])
    with pytest.raises(CorruptFile) as caught:
        Store(lab).result(step)
    assert str(folder) in caught.value.where


def test_a_file_is_compared_with_its_digest_once_a_process(counting: Callable[..., Step], lab: Path) -> None:
    step, store = counting(1), Store(lab)
    store.finish(step, outputs(store, step))
    before = store.result(step)
    before.path("a.bin").write_bytes(b"other")
    assert store.result(step).files == before.files
    with pytest.raises(CorruptFile):
        Store(lab).result(step)
    assert Store(lab).result(step, check=False).files == before.files


def test_discarding_forgets_outputs_work_and_curves(counting: Callable[..., Step], lab: Path) -> None:
    step, other, store = counting(1), counting(2), Store(lab)
    for one in (step, other):
        store.finish(one, outputs(store, one))
        store.journal(one).parent.mkdir(parents=True, exist_ok=True)
        store.journal(one).write_text("{}\n")
        (lab / "work" / one.digest / "checkpoint").write_bytes(b"x")
    store.discard(step)
    store.discard(step)
    assert not store.has(step)
    left = [path for path in lab.rglob("*") if step.digest in path.as_posix() and "locks" not in path.parts]
    assert left == []
    assert store.has(other)
    assert (lab / "work" / other.digest / "checkpoint").exists()


def test_a_kill_while_discarding_leaves_no_half_of_a_step(
    counting: Callable[..., Step], lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, store = counting(1), Store(lab)
    store.finish(step, outputs(store, step))

    def killed(*_arguments: Any, **_options: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            store.discard(step)
    assert not Store(lab).has(step)
    Store(lab).finish(step, outputs(Store(lab), step))
    assert Store(lab).has(step)


def test_unfinished_work_survives(counting: Callable[..., Step], lab: Path) -> None:
    step = counting(1)

    def killed_at_it() -> None:
        with Store(lab).working(step) as work:
            (work / "checkpoint").write_bytes(b"so far")
            raise Killed

    with pytest.raises(Killed):
        killed_at_it()
    with Store(lab).working(step) as work:
        assert (work / "checkpoint").read_bytes() == b"so far"


def test_every_single_flipped_bit_of_a_record_is_noticed(counting: Callable[..., Step], lab: Path) -> None:
    step, store = counting(1), Store(lab)
    record = store.finish(step, outputs(store, step), {"device": "cpu"}).folder / "step.json"
    sound = record.read_bytes()
    assert store.result(step).surroundings == {"device": "cpu"}
    for place in range(len(sound)):
        for bit in range(8):
            spoilt = bytearray(sound)
            spoilt[place] ^= 1 << bit
            record.write_bytes(bytes(spoilt))
            try:
                assert store.result(step).surroundings == {"device": "cpu"}, "only blanks and line ends may differ"
            except CorruptFile:
                continue
            assert bytes(spoilt).split() == sound.split() or sound[place : place + 1].isspace()


def test_a_record_under_another_name_is_refused(counting: Callable[..., Step], lab: Path) -> None:
    one, other, store = counting(1), counting(2), Store(lab)
    store.finish(one, outputs(store, one))
    shutil.copytree(store.folder(one), store.folder(other))
    with pytest.raises(CorruptFile):
        store.result(other)


@pytest.mark.parametrize("instead", ["a link to a folder", "a link to nowhere", "a file"])
def test_what_somebody_put_in_the_place_of_a_step_goes_and_what_it_leads_to_stays(
    counting: Callable[..., Step], lab: Path, tmp_path: Path, instead: str
) -> None:
    step, store, elsewhere = counting(1), Store(lab), tmp_path / "elsewhere"
    place = store.folder(step)
    for forget in (lambda: store.discard(step), lambda: None):
        elsewhere.mkdir(exist_ok=True)
        (elsewhere / "mine").touch()
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        if instead == "a file":
            place.touch()
        else:
            place.symlink_to(elsewhere if instead == "a link to a folder" else tmp_path / "nowhere")
        forget()
        store.finish(step, outputs(store, step))
        assert not place.is_symlink()
        assert store.result(step).path("a.bin").read_bytes() == b"a" * 1000
        assert (elsewhere / "mine").exists()
