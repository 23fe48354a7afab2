"""A member of a crew does the steps that were planned, on however many cores, or says why it cannot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

import ticketlab
from ticketlab.cores import available_cores
from ticketlab.errors import EnvironmentProblem, StepFailed
from ticketlab.plan.experiment import ArmAddress
from ticketlab.run.crew import Alone
from ticketlab.run.device import chosen
from ticketlab.run.experiment import Experiment
from ticketlab.run.order import Order
from ticketlab.run.project import Project
from ticketlab.run.store import Store

PAGE = """\
name: wide
data: {dataset: specks}
model: {kind: mlp, hidden: [300]}
ticket: {method: magnitude, schedule: {density: 0.5}, round_steps: 0}
arms: [ticket, random]
train: {objective: cross_entropy, steps: 3, batch: 64}
evaluate: {every: 2}
compute: {device: cpu}
"""

MEMBER = """
import os, sys
from importlib import import_module
from pathlib import Path
from ticketlab.errors import TicketlabError
if "CORES" in os.environ:
    os.sched_setaffinity(0, {int(os.environ["CORES"])})
from ticketlab.run.order import Order
from ticketlab.run.project import Project
from ticketlab.run.store import Store
try:
    Order.read(sys.stdin.read()).done(Project(Path(sys.argv[1])), Store(Path(sys.argv[2])))
except TicketlabError as refused:
    sys.exit(f"{type(refused).__name__} at {refused}")
"""


def planned(specks: Path, *overrides: str) -> Experiment:
    file = specks / "specs" / "wide.yaml"
    file.write_text(PAGE)
    return ticketlab.plan(file, overrides)


def first_arm(experiment: Experiment) -> ArmAddress:
    return next(experiment.plan.arms())


def member(order: Order, root: Path, store: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """An order done by a process of its own."""
    command = [sys.executable, "-c", MEMBER, str(root), str(store)]
    around = {**os.environ, **environment}
    return subprocess.run(command, input=order.text(), env=around, capture_output=True, text=True, check=False)


def results(address: ArmAddress, store: Store) -> dict[str, Mapping[str, str]]:
    return {step.digest: store.result(step).files for step in address.plan.steps()}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or available_cores() < 2, reason="fewer cores need several")
def test_a_member_with_other_cores_and_threads_makes_the_digests_and_the_bits_of_one_alone(
    specks: Path, tmp_path: Path
) -> None:
    experiment = planned(specks)
    address = first_arm(experiment)
    assert address.cell.threads == available_cores() > 1
    alone = Alone(experiment.job(lambda event: None))
    alone.arm(address)
    done = member(
        Order.of(address), specks, tmp_path / "theirs", CORES=str(min(os.sched_getaffinity(0))), OMP_NUM_THREADS="1"
    )
    assert done.returncode == 0, done.stderr
    # Steps are looked up by the coordinator's digests, and files are compared by their sha256.
    assert results(address, Store(tmp_path / "theirs")) == results(address, experiment.store)
    one = first_arm(planned(specks, "compute.threads=1"))
    ours = {step.digest for step in address.plan.steps() if step.kind == "train"}
    assert ours.isdisjoint(step.digest for step in one.plan.steps()), "planned by the member it would be another run"


def test_only_what_is_asked_and_what_that_needs_is_done(specks: Path, tmp_path: Path) -> None:
    address = first_arm(planned(specks))
    draw = next(step for step in address.plan.steps() if step.kind == "draw")
    store = Store(tmp_path / "theirs")
    Order.read(Order.of(address, [draw]).text()).done(Project(specks), store)
    needed = {step.digest for step in draw.lineage()}
    assert {step.digest for step in address.plan.steps() if store.has(step)} == needed


def test_a_member_that_openmp_gives_fewer_threads_refuses(specks: Path, tmp_path: Path) -> None:
    order = Order.of(first_arm(planned(specks, "compute.threads=2")))
    done = member(order, specks, tmp_path / "theirs", OMP_THREAD_LIMIT="1")
    assert done.returncode == 1
    assert done.stderr.startswith("EnvironmentProblem at compute.threads: OMP_THREAD_LIMIT is 1")
    assert "unset OMP_THREAD_LIMIT" in done.stderr
    assert not (tmp_path / "theirs" / "store").exists()


def changed(order: Order, number: int, path: str, value: object) -> Order:
    """The order as a machine would have written it where one thing that counts is another."""
    whole: dict[str, Any] = json.loads(order.text())
    inner = whole["planned"][number]
    *above, last = path.split(".")
    for name in above:
        inner = inner[name]
    inner[last] = value
    return Order.read(json.dumps(whole))


@pytest.mark.parametrize(
    ("path", "value", "mend"),
    [
        ("releases.torch", "2.0.0", "pip install torch==2.0.0"),
        ("source", "0" * 64, "bring the code"),
        ("asks.images.digest", "0" * 64, "bring the very pack of images"),
        ("format", 99, "bring the code"),
    ],
)
def test_what_differs_is_named_with_its_mend(specks: Path, path: str, value: object, mend: str) -> None:
    order = Order.of(first_arm(planned(specks)))
    with pytest.raises(EnvironmentProblem) as caught:
        changed(order, 0, path, value).address(Project(specks))
    assert caught.value.where == path
    assert str(value) in caught.value.what
    assert mend in caught.value.mend


def test_the_release_is_named_where_the_code_follows_from_it(specks: Path) -> None:
    order = Order.of(first_arm(planned(specks)))
    both = changed(changed(order, 0, "source", "0" * 64), 0, "releases.torch", "2.0.0")
    with pytest.raises(EnvironmentProblem, match=r"releases\.torch is "):
        both.address(Project(specks))


def test_a_plan_of_other_steps_is_refused(specks: Path) -> None:
    order = Order.of(first_arm(planned(specks)))
    for steps in (order.planned[:-1], [*order.planned, order.planned[0]]):
        with pytest.raises(
            EnvironmentProblem, match=r"kind is (evaluate|nothing) here and was (evaluate|nothing|draw)"
        ):
            order.model_copy(update={"planned": steps}).address(Project(specks))


def test_other_images_under_the_same_name_are_refused(specks: Path, tmp_path: Path) -> None:
    from ticketlab.datasets.pack import Split, write_pack

    order = Order.of(first_arm(planned(specks)))
    theirs = tmp_path / "theirs"
    images = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    images[0] = 255
    splits = {"train": Split(images, torch.arange(64) % 2), "test": Split(images, torch.arange(64) % 2)}
    write_pack(theirs, "specks", splits, class_names=("a", "b"), licence="CC0-1.0", source="none")  # type: ignore[arg-type]
    (theirs / ".ticketlab").mkdir()
    with pytest.raises(EnvironmentProblem) as caught:
        order.address(Project(theirs))
    assert caught.value.where == "asks.images.digest"
    shutil.rmtree(theirs / "data")
    shutil.copytree(specks / "data", theirs / "data")
    assert order.address(Project(theirs)).plan.arm == "ticket"


def test_another_device_by_the_name_auto_is_refused(specks: Path) -> None:
    order = Order.of(first_arm(planned(specks, "compute.device=auto")))
    assert order.auto == chosen("auto")
    order.address(Project(specks))
    other = "cuda" if order.auto == "cpu" else "cpu"
    with pytest.raises(EnvironmentProblem) as caught:
        order.model_copy(update={"auto": other}).address(Project(specks))
    assert caught.value.where == "compute.device"
    assert f"`auto` is {other} where the run was planned and {order.auto} on this machine" in caught.value.what
    assert Order.of(first_arm(planned(specks))).auto is None


def test_a_method_that_is_not_installed_is_refused_by_its_path(specks: Path) -> None:
    order = Order.of(first_arm(planned(specks)))
    unknown = {**order.spec, "ticket": {**order.spec["ticket"], "method": "by_mars"}}
    with pytest.raises(EnvironmentProblem, match="by_mars") as caught:
        order.model_copy(update={"spec": unknown}).address(Project(specks))
    assert "the packages that add methods" in caught.value.mend


def test_an_order_of_another_release_is_refused_whole() -> None:
    with pytest.raises(EnvironmentProblem, match="`asked`: Field required"):
        Order.read(json.dumps({"cell": "", "arm": "ticket", "spec": {}, "threads": 1, "auto": None, "planned": []}))


def test_code_that_was_edited_since_it_was_planned_is_not_ordered(
    specks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = first_arm(planned(specks))
    assert all(step.digest for step in address.plan.steps())
    # As an edit would: what counts of a step is now something else.
    monkeypatch.setattr(import_module("ticketlab.plan.step"), "STEP_FORMAT", 99)
    with pytest.raises(StepFailed, match="was edited after it was planned"):
        Order.of(address)
