"""What a step is done on is what its record says, and work of one arithmetic is not gone on with in another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import ticketlab
from ticketlab.errors import Interrupted
from ticketlab.plan.steps import Control, Draw, Images, Step, Train
from ticketlab.run.device import arrange
from ticketlab.run.events import Event, Progress
from ticketlab.run.execute import Executor
from ticketlab.run.store import Store
from ticketlab.spec.arm import RandomMask
from ticketlab.spec.compute import Compute
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.foresight import Snip
from ticketlab.spec.model import Mlp
from ticketlab.spec.structure import Weights
from ticketlab.spec.ticket import Magnitude
from ticketlab.training import checkpoint


def draw(device: str = "cpu", ticket: Any = None) -> Draw:
    asked = ticket or Magnitude(schedule=Schedule(rounds=3, rate=0.5))
    return Draw(
        seed=3,
        images=Images("specks", "0" * 64, 1, 2, 8, "resize", "standard"),
        model=Mlp(hidden=(6,)),
        ticket=asked.model_copy(update={"networks": ("classifier",), "layers": ("linear",)}),
        first=1,
        round=3,
        compute=Compute(device=device, threads=2),  # type: ignore[arg-type]
    )


def record(store: Store, step: Step) -> Any:
    return json.loads((store.folder(step) / "step.json").read_bytes())


def test_a_method_that_looks_at_weights_alone_needs_no_gpu_and_is_recorded_on_the_cpu(lab: Path) -> None:
    """So do steps that ask nothing of a device: this also runs where there is no GPU at all."""
    store = Store(lab)
    executor = Executor(lambda _: lab, store, lambda event: None, lambda: False)
    drawn = draw("cuda")
    control = Control(seed=1, control=RandomMask(), structure=Weights(), inputs={"mask": drawn})
    for step, threads in ((drawn, 2), (control, 1)):
        executor.ensure(step, "ticket")
        noted = record(store, step)["surroundings"]
        assert noted["device"] == "cpu"
        assert noted["determinism"]["threads"] == threads
        assert "gpu" not in noted["machine"]


def test_a_method_that_runs_networks_takes_what_is_asked() -> None:
    assert draw("cuda", Snip(schedule=Schedule(rounds=3, rate=0.5))).taken == Compute(device="cuda", threads=2)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_rounds_are_gone_on_with_in_one_arithmetic_only(lab: Path, elsewhere: bool) -> None:
    store, step = Store(lab), draw()
    rounds: list[int] = []

    def listener(event: Event) -> None:
        if isinstance(event, Progress):
            rounds.append(event.step)

    with pytest.raises(Interrupted):
        Executor(lambda _: lab, store, listener, lambda: len(rounds) == 1).ensure(step, "ticket")
    (so_far,) = (lab / "work" / step.digest).glob("so-far-*")
    if elsewhere:
        so_far.rename(so_far.with_name("so-far-0123456789abcdef.safetensors"))
    Executor(lambda _: lab, store, listener, lambda: False).ensure(step, "ticket")
    assert rounds == ([1, 1, 2, 3] if elsewhere else [1, 2, 3])


def test_a_checkpoint_of_a_run_names_its_arithmetic(specks: Path) -> None:
    spec = specks / "specs" / "small.yaml"
    spec.write_text(spec.read_text().replace("log_every: 1", "log_every: 1, checkpoint_seconds: 0"))
    experiment = ticketlab.plan(spec)
    train = next(step for _, step in experiment.plan.steps() if isinstance(step, Train))
    seen: list[int] = []

    def executor() -> Executor:
        def listener(event: Event) -> None:
            if isinstance(event, Progress):
                seen.append(event.step)

        return Executor(experiment.project.home, experiment.store, listener, lambda: len(seen) == 2)

    for step in train.lineage():
        if step is train:
            with pytest.raises(Interrupted):
                executor().ensure(step, "ticket")
        else:
            Executor(experiment.project.home, experiment.store, lambda event: None, lambda: False).ensure(step, "x")
    saved = experiment.store.root / "work" / train.digest / "checkpoint.safetensors"
    state, about = checkpoint.read(saved)
    assert about["arithmetic"] == arrange(train.compute).arithmetic
    checkpoint.write(saved, state, {**about, "arithmetic": about["arithmetic"].replace("cpu, ", "cpu, Another ")})
    executor().ensure(train, "ticket")
    assert seen == [1, 2, 3, 1, 2, 3, 4]
    assert torch.get_num_threads() == train.compute.threads
