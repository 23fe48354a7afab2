"""A training that was stopped, killed or misled by a broken checkpoint ends with the same bits as one that was not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ticketlab.spec.compute import Compute
from ticketlab.tensors import content_digest
from ticketlab.training import checkpoint
from ticketlab.training.setup import Training, tensors_of

Digests = Callable[[Any], tuple[str, str]]

EVERY_STEP = Compute(threads=1, checkpoint_seconds=0)


def digests(training: Training) -> tuple[str, str]:
    return content_digest(training.state()), content_digest(tensors_of(training.trained()))


@pytest.mark.parametrize("until", [1, 3])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("objective", ["hinge", "non_saturating", "adversarial_features", "cross_entropy"])
def test_stopping_and_going_on_in_fresh_objects_is_exact(
    bench: Callable[..., Any], objective: str, optimizer: str, until: int, undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective, optimizer)
    made.stopped(tmp_path, until)
    _, about = checkpoint.read(tmp_path / "checkpoint.safetensors")
    assert about == {"step": until, "arithmetic": "cpu"}
    resumed = made.training()
    made.follow(resumed, tmp_path)
    assert digests(resumed) == undisturbed(made)


@pytest.mark.parametrize("options", [{"masked": False}, {"channels_last": False}, {"bf16": True}], ids=str)
def test_resuming_is_exact_without_mask_in_either_layout_and_precision(
    bench: Callable[..., Any], objective: str, options: dict[str, bool], undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective, **options)
    made.stopped(tmp_path, 3)
    resumed = made.training()
    made.follow(resumed, tmp_path)
    assert digests(resumed) == undisturbed(made)


class Killed(BaseException):
    """What SIGKILL would be, if Python could see it."""


def test_a_kill_inside_any_step_is_exact(
    bench: Callable[..., Any], objective: str, undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective)
    for survived in range(made.objective.steps):
        training = made.training()
        step = training.step

        def dies(number: int, survived: int = survived, step: Any = step, training: Training = training) -> Any:
            losses = step(number)
            if number == survived:
                for value in tensors_of(training.trained()).values():
                    value.zero_() if value.is_floating_point() else None
                raise Killed
            return losses

        training.step = dies
        with pytest.raises(Killed):
            made.follow(training, tmp_path / "killed", compute=EVERY_STEP)
    last = made.training()
    made.follow(last, tmp_path / "killed", compute=EVERY_STEP)
    assert digests(last) == undisturbed(made)


def test_stopping_after_every_single_step_is_exact(
    bench: Callable[..., Any], objective: str, undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective)
    for until in range(1, made.objective.steps):
        made.stopped(tmp_path / "stopped", until)
    last = made.training()
    made.follow(last, tmp_path / "stopped")
    assert digests(last) == undisturbed(made)


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "foreign"])
def test_a_broken_checkpoint_is_thrown_away_and_the_training_starts_over(
    bench: Callable[..., Any], objective: str, harm: str, undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective)
    made.stopped(tmp_path, 2)
    saved = tmp_path / "checkpoint.safetensors"
    content = bytearray(saved.read_bytes())
    if harm == "flip":
        content[-100] ^= 4
    saved.write_bytes(
        {"cut": bytes(content[:-1]), "empty": b"", "foreign": b"PK\x03\x04" * 99}.get(harm, bytes(content))
    )
    made.rows.clear()
    resumed = made.training()
    made.follow(resumed, tmp_path)
    assert made.rows[0][0] == 1
    assert digests(resumed) == undisturbed(made)


def test_a_step_depends_on_its_number_and_the_state_alone(bench: Callable[..., Any], objective: str) -> None:
    made = bench(objective)
    first, second = made.training(), made.training()
    for number in range(2):
        first.step(number)
    state = {name: value.clone() for name, value in first.state().items()}
    first.step(2)
    second.step(77)
    second.load(state)
    assert content_digest(second.state()) == content_digest(state)
    second.step(2)
    assert digests(first) == digests(second)


def test_training_leaves_the_global_generator_alone(
    bench: Callable[..., Any], objective: str, undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective)
    before = torch.get_rng_state()
    made.follow(made.training(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_generator_does_not_reach_a_training(
    bench: Callable[..., Any], objective: str, undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective)
    expected = undisturbed(made)
    with torch.random.fork_rng():
        torch.manual_seed(12345)
        torch.rand(17)
        other = made.training()
        made.follow(other, tmp_path / "other")
    assert digests(other) == expected


def test_a_checkpoint_of_another_arithmetic_is_not_mixed_in(
    bench: Callable[..., Any], undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench()
    made.stopped(tmp_path, until=2, arithmetic="cuda, another GPU")
    training = made.training()
    made.rows.clear()
    made.follow(training, tmp_path)
    assert made.rows[0][0] == 1, "the training started over"
    assert digests(training) == undisturbed(made)
