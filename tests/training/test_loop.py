"""Looking at a training, saving it and stopping it are no part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from ticketlab.errors import Diverged, Interrupted, TicketlabError
from ticketlab.metrics.accuracy import classify, loss
from ticketlab.randomness import Key
from ticketlab.spec.compute import Compute
from ticketlab.spec.metric import Loss
from ticketlab.spec.optimizer import Sgd
from ticketlab.spec.task import CLASSIFIER, GAN
from ticketlab.tensors import content_digest
from ticketlab.training import checkpoint
from ticketlab.training.setup import tensors_of

Digests = Callable[[Any], tuple[str, str]]


def finished(made: Any, folder: Path, **course: Any) -> tuple[str, str]:
    training = made.training()
    made.follow(training, folder, **course)
    return digests(training)


def digests(training: Any) -> tuple[str, str]:
    return content_digest(training.state()), content_digest(tensors_of(training.trained()))


def looking(made: Any, training: Any) -> Callable[[int], Mapping[str, float]]:
    """What measures the network in training, as a run does: samples for generators, accuracy for classifiers."""

    def watch(number: int) -> Mapping[str, float]:
        network = training.evaluated()
        if made.objective.trains == CLASSIFIER:
            pixels = torch.arange(8 * 256, dtype=torch.uint8).reshape(8, 1, 16, 16)
            answers = classify(network, [(pixels, torch.arange(8))], lambda images: images.float() / 255)
            return loss(Loss(), answers)
        was_training = network.training
        with torch.no_grad():
            mean = network(torch.randn(4, network.latent, generator=Key(0).of("look").generator())).mean().item()
        assert network.training == was_training
        return {"mean": mean}

    return watch


@pytest.mark.parametrize("log_every", [3, 1000])
def test_how_often_losses_are_logged_changes_nothing(
    bench: Callable[..., Any], objective: str, log_every: int, undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective)
    every = Compute(threads=1, log_every=log_every)
    assert finished(made, tmp_path / "a", compute=every) == undisturbed(made)


@pytest.mark.parametrize("watch_every", [1, 2])
def test_how_often_one_evaluates_changes_nothing(
    bench: Callable[..., Any], objective: str, watch_every: int, undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective)
    training = made.training()
    made.follow(training, tmp_path / "a", watch_every=watch_every, watch=looking(made, training))
    measured = [number for number, row in made.rows if not any(name.startswith("loss_") for name in row)]
    assert measured == [number for number in range(1, made.objective.steps) if number % watch_every == 0]
    assert digests(training) == undisturbed(made)


def test_how_often_checkpoints_are_written_changes_nothing(
    bench: Callable[..., Any], objective: str, undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench(objective)
    often = Compute(threads=1, checkpoint_seconds=0)
    assert finished(made, tmp_path / "a", compute=often) == undisturbed(made)
    assert (tmp_path / "a" / "checkpoint.safetensors").exists()


def test_losses_are_logged_every_so_many_steps_and_at_the_last(bench: Callable[..., Any], tmp_path: Path) -> None:
    made = bench(steps=7)
    made.follow(made.training(), tmp_path, compute=Compute(threads=1, log_every=3))
    assert [number for number, _ in made.rows] == [3, 6, 7]


def test_the_weights_kept_for_rewinding_are_those_before_that_step(
    bench: Callable[..., Any], objective: str, tmp_path: Path
) -> None:
    made = bench(objective)
    kept = tmp_path / "rewind.safetensors"
    made.follow(made.training(), tmp_path / "a", keep=2, kept=kept)
    training = made.training()
    for number in range(2):
        training.step(number)
    tensors, about = checkpoint.read(kept)
    assert content_digest(tensors) == content_digest(tensors_of(training.trained()))
    assert about == {"step": 2}


def test_a_rewound_training_begins_at_the_step_it_is_rewound_to(bench: Callable[..., Any], tmp_path: Path) -> None:
    made = bench()
    training = made.training()
    numbers: list[int] = []
    step = training.step

    def noted(number: int) -> Any:
        numbers.append(number)
        return step(number)

    training.step = noted
    made.follow(training, tmp_path, begin=2)
    assert numbers == [2, 3]
    assert [number for number, _ in made.rows] == [3, 4]


def test_a_wish_to_stop_during_the_last_step_lets_the_training_end(
    bench: Callable[..., Any], undisturbed: Digests, tmp_path: Path
) -> None:
    made = bench()
    training = made.training()
    made.follow(training, tmp_path, until=made.objective.steps)
    assert digests(training) == undisturbed(made)


def test_stopping_says_where_and_how_to_go_on(bench: Callable[..., Any], tmp_path: Path) -> None:
    made = bench()
    with pytest.raises(Interrupted) as caught:
        made.follow(made.training(), tmp_path, until=2)
    assert "step 2 of 4" in caught.value.what
    assert "same command" in caught.value.mend
    assert caught.value.exit_code == 130


def diverging(bench: Callable[..., Any], objective: str) -> Any:
    made = bench(objective, "sgd", steps=200)
    wild = Sgd(lr=10.0).model_copy(update={"lr": 1e12})
    update = {"optimizer": wild} | ({"critic_optimizer": wild} if made.objective.trains == GAN else {})
    made.objective = made.objective.model_copy(update=update)
    return made


def test_divergence_stops_the_training_and_keeps_the_last_good_checkpoint(
    bench: Callable[..., Any], objective: str, tmp_path: Path
) -> None:
    made = diverging(bench, objective)
    with pytest.raises(Diverged) as caught:
        made.follow(made.training(), tmp_path, compute=Compute(threads=1, checkpoint_seconds=0))
    assert caught.value.exit_code == 3
    saved = tmp_path / "checkpoint.safetensors"
    if saved.exists():
        tensors, about = checkpoint.read(saved)
        assert checkpoint.all_finite(tensors)
        assert f"step {about['step'] + 1}" in caught.value.what
    assert all(abs(value) < float("inf") for _, row in made.rows for value in row.values())


def test_divergence_is_found_at_the_end_if_nobody_looked_before(
    bench: Callable[..., Any], objective: str, tmp_path: Path
) -> None:
    made = diverging(bench, objective)
    made.objective = made.objective.model_copy(update={"steps": 20})
    with pytest.raises(Diverged):
        made.follow(made.training(), tmp_path, compute=Compute(threads=1, log_every=10**6))


def test_a_weight_that_is_not_finite_is_found_although_the_losses_are(
    bench: Callable[..., Any], tmp_path: Path
) -> None:
    made = bench()
    training = made.training()
    step = training.step

    def poisoned(number: int) -> Any:
        losses = step(number)
        if number == made.objective.steps - 1:
            tensors_of(training.trained())[next(iter(tensors_of(training.trained())))].fill_(float("nan"))
        return losses

    training.step = poisoned
    with pytest.raises(Diverged, match="weights are not finite"):
        made.follow(training, tmp_path)


def test_a_training_that_cannot_do_with_one_image_says_so_in_words(bench: Callable[..., Any], tmp_path: Path) -> None:
    made = bench("pixel_cross_entropy")
    made.objective = made.objective.model_copy(update={"batch": 1})
    with pytest.raises(TicketlabError, match=r"^train.batch: batch normalisation .*\n  -> a batch of at least 2$"):
        made.follow(made.training(), tmp_path)
