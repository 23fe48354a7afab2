"""A plan is a pure function of the spec and the code, in an order in which it can be done."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketlab.errors import DataError
from ticketlab.plan.experiment import Plan, plan_cell
from ticketlab.run.project import Project
from ticketlab.spec.loading import Cell


def test_planning_twice_gives_the_same_steps(planned: Callable[..., Plan]) -> None:
    first, second = ([(a.name, s.digest) for a, s in planned("gan").steps()] for _ in range(2))
    assert first == second


def test_steps_come_once_and_after_what_they_need(planned: Callable[..., Plan]) -> None:
    done: set[str] = set()
    for _, step in planned("gan", "matrix={seed: [0, 1]}").steps():
        assert step.digest not in done
        assert all(needed.digest in done for needed in step.inputs.values())
        done.add(step.digest)


def test_arms_are_named_by_cell_and_arm(planned: Callable[..., Plan]) -> None:
    assert [a.name for a in planned("classifier").arms()] == ["ticket", "dense"]
    names = [a.name for a in planned("classifier", "matrix={seed: [3, 4]}").arms()]
    assert names == ["seed-3/ticket", "seed-3/dense", "seed-4/ticket", "seed-4/dense"]


def test_the_digest_of_an_arm_tells_all_arms_of_all_cells_apart(planned: Callable[..., Plan]) -> None:
    addresses = list(planned("gan", "matrix={seed: [0, 1]}").arms())
    assert len({address.digest for address in addresses}) == len(addresses) == 10


def test_labels_do_not_reach_the_digest_of_an_arm(planned: Callable[..., Plan]) -> None:
    plain = [address.digest for address in planned("classifier").arms()]
    labelled = planned("classifier", "name=another", "about=words", "compute.log_every=3", "arms=[dense, ticket]")
    assert sorted(address.digest for address in labelled.arms()) == sorted(plain)
    in_a_matrix = planned("classifier", "matrix={seed: [0]}")
    assert [address.digest for address in in_a_matrix.arms()] == plain


PURE = """
import sys
from pathlib import Path
from ticketlab.run.experiment import is_done, open_experiment
experiment = open_experiment(Path("page.yaml"))
assert experiment.pending() and not is_done(experiment)
heavy = sorted({"torch", "numpy", "mlflow", "dvc", "matplotlib", "torchvision"} & set(sys.modules))
print(len(list(experiment.plan.steps())), *heavy)
"""


def test_planning_imports_no_torch_and_writes_nothing(tmp_path: Path) -> None:
    page = (
        "name: x\ndata: {dataset: fashion-mnist-mini, ratio: 0.5, size: 32}\nmodel: {kind: sngan}\n"
        "ticket: {method: magnitude, schedule: {rate: 0.5}}\ntrain: {objective: hinge, steps: 3}\n"
    )
    (tmp_path / "page.yaml").write_text(page)
    done = subprocess.run([sys.executable, "-c", PURE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["8"]
    assert [path.name for path in tmp_path.iterdir()] == ["page.yaml"]


def test_more_images_than_are_there_cannot_be_kept(planned: Callable[..., Plan], tmp_path: Path) -> None:
    plan = planned("classifier")
    spec = plan.cells[0].spec
    count = 10**6
    more = spec.model_copy(update={"data": spec.data.model_copy(update={"count": count})})
    with pytest.raises(DataError, match=f"{count} of 6000 training images"):
        plan_cell(Cell({}, "", more), Project(tmp_path).home)
