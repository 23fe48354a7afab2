"""Moment matching is what the paper writes: moments, averages by Adam, and a gradient that passes through moments alone."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ticketlab
from ticketlab.datasets.batches import Batches
from ticketlab.datasets.shape import ImageShape
from ticketlab.datasets.synthetic import stand_in
from ticketlab.errors import DataError, Interrupted, SpecError
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.statement import facts
from ticketlab.metrics.extractors import random_conv
from ticketlab.models.build import build
from ticketlab.plan.steps import Draw, Prepared, Train
from ticketlab.randomness import Key
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.compute import Compute
from ticketlab.spec.evaluate import RandomConv
from ticketlab.spec.model import Sngan
from ticketlab.spec.moment_matching import MomentMatching
from ticketlab.spec.optimizer import Adam
from ticketlab.spec.rate_schedule import Cosine
from ticketlab.tickets.worn import Wearing
from ticketlab.training.checkpoint import content_digest
from ticketlab.training.loop import Course, follow
from ticketlab.training.moment_matching import (
    BATCH,
    AveragedDifferences,
    MomentMatchingTraining,
    moment_matching,
    real_moments,
)
from ticketlab.training.setup import Look, Setup, tensors_of

EXTRACTOR = random_conv(RandomConv(width=4), ImageShape(1, 32, 10))
FAST = MomentMatching(
    steps=60, batch=16, optimizer=Adam(lr=2e-3, beta1=0.5, beta2=0.999), averages=Adam(lr=0.1, beta1=0.5, beta2=0.999)
)


def pixels(count: int, least: int = 0, most: int = 256) -> Tensor:
    source = torch.Generator().manual_seed(1)
    return torch.randint(least, most, (count, 1, 32, 32), generator=source, dtype=torch.uint8)


def training(options: MomentMatching = FAST, look: Look = EXTRACTOR.look, **networks: nn.Module) -> Any:
    """A training towards bright images."""
    found = networks or build(Sngan(width=4, critic_width=4, latent=8), ImageShape(1, 32, 10), Key(3).of("init"))
    real = pixels(40, 150, 256)
    setup = Setup(
        objective=options,
        networks=found,
        wearing=Wearing(found),
        batches=Batches(real, torch.zeros(40, dtype=torch.int64), options.batch, Key(3).of("data")),
        scale=lambda images: images,
        augmenters=(),
        key=Key(3).of("train"),
        precision=nullcontext,
        compile=lambda network: network,
        prepared=real_moments(real, look),
        extractor=look,
    )
    return moment_matching(setup)


@pytest.mark.parametrize("count", [2, BATCH, 2 * BATCH + 1])
def test_real_moments_are_those_of_the_whole_split(count: int) -> None:
    images = pixels(count)
    features = EXTRACTOR.features(images, 64)
    found = real_moments(images, EXTRACTOR.look)
    np.testing.assert_allclose(found["mean"], features.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["variance"], features.var(0, ddof=1), rtol=1e-4)


def test_a_small_variance_beside_a_large_mean_is_not_lost() -> None:
    images = pixels(600)
    found = real_moments(images, lambda part: part.flatten(1)[:, :3].double() / 255 + 1e6)
    expected = (images.flatten(1)[:, :3].double() / 255).var(0)
    torch.testing.assert_close(found["variance"].double(), expected, rtol=1e-6, atol=0)


def test_one_image_has_no_variance_and_features_must_be_finite() -> None:
    with pytest.raises(DataError, match="two images"):
        real_moments(pixels(1), EXTRACTOR.look)
    with pytest.raises(DataError, match="not finite"):
        real_moments(pixels(4), lambda part: part.flatten(1) / 0.0)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_averages_are_adams_on_the_squared_distance_begun_at_the_first_differences(reduction: Any) -> None:
    options = FAST.model_copy(update={"reduction": reduction, "rate_schedule": Cosine(), "steps": 9})
    averages = AveragedDifferences(5, torch.device("cpu"), options)
    u = {name: nn.Parameter(torch.zeros(5)) for name in ("mean", "variance")}
    adam = torch.optim.Adam(u.values(), lr=1.0, betas=(0.5, 0.999), fused=False)
    source = torch.Generator().manual_seed(2)
    for step in range(6):
        differences = {name: torch.randn(5, generator=source) for name in u}
        if step == 0:
            for name, value in u.items():
                value.data.copy_(differences[name])
        adam.param_groups[0]["lr"] = 0.1 * 0.5 * (1 + np.cos(np.pi * step / 9))
        for name, value in u.items():
            value.grad = 2 * (value.detach() - differences[name]) / (5 if reduction == "mean" else 1)
        adam.step()
        averages.follow(differences, step)
        for name, value in u.items():
            torch.testing.assert_close(averages.values[name], value, rtol=1e-6, atol=1e-7)


class Pixels(nn.Module):
    """A generator whose images are its parameters, whatever the noise."""

    latent = 2

    def __init__(self) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(4)
        self.images = nn.Parameter(torch.rand((6, 1, 2, 2), generator=source, dtype=torch.float64))

    def entering(self, count: int, key: Key) -> tuple[Tensor, ...]:
        return (torch.zeros(count, 2),)

    def forward(self, noise: Tensor) -> Tensor:
        return self.images[: len(noise)]


def test_the_gradient_reaches_the_generator_through_mean_and_variance_alone() -> None:
    """With pixels as features: dL/dx_i = -u/B - 2 v (x_i - mean)/(B - 1), times 127.5 of the change of range."""
    made: MomentMatchingTraining = training(
        FAST.model_copy(update={"batch": 6}),
        lambda images: images[:, :, :2, :2].flatten(1).double(),
        generator=Pixels(),
    )
    averages = made._averages
    averages.follow({"mean": torch.tensor([1.0, -2.0, 3.0, 0.5]), "variance": torch.tensor([0.1, 0.2, -0.3, 0.4])}, 0)
    averages.values = {name: nn.Parameter(value.detach().double()) for name, value in averages.values.items()}
    u, v = averages.values["mean"].detach(), averages.values["variance"].detach()
    loss = made.losses({"generator": made.generator}, 0)["generator"]
    loss.backward()  # type: ignore[no-untyped-call]
    images = made.generator.images
    x = (images.detach() + 1).flatten(1) * 127.5
    expected = (-u / 6 - 2 * v * (x - x.mean(0)) / 5) * 127.5
    assert images.grad is not None
    torch.testing.assert_close(images.grad.flatten(1), expected)
    assert all(value.grad is None or not value.grad.any() for value in averages.values.values())
    real = made._real
    value = u @ (real["mean"] - x.mean(0)) + v @ (real["variance"] - x.var(0))
    torch.testing.assert_close(loss.detach(), value)


def test_before_any_update_the_loss_goes_along_its_own_differences() -> None:
    made = training()
    loss = made.losses({"generator": made.generator}, 0)["generator"]
    row = made.step(0)
    assert loss.item() > 0
    torch.testing.assert_close(row["loss_generator"], loss.detach())


def test_a_training_brings_the_moments_nearer_and_moves_nothing_but_the_generator() -> None:
    made = training()
    before = {name: value.clone() for name, value in tensors_of(made.trained()).items()}
    rows = [made.step(step) for step in range(FAST.steps)]
    assert rows[-1]["difference_mean"] < 0.1 * rows[0]["difference_mean"]
    changed = {name for name, value in tensors_of(made.trained()).items() if not torch.equal(value, before[name])}
    assert {name.partition(".")[0] for name in changed} == {"generator"}
    assert any(name.startswith("critic.") for name in tensors_of(made.trained()))
    assert all(parameter.grad is None for parameter in EXTRACTOR.network.parameters())
    assert made.evaluated() is made.generator


def test_a_training_that_was_stopped_ends_with_the_same_bits(tmp_path: Path) -> None:
    options = FAST.model_copy(update={"steps": 5})

    def go_on(folder: str, until: int | None = None) -> Any:
        made = training(options)
        looks = iter(range(until or 99))
        course = Course(0, 5, Compute(threads=1, log_every=1), tmp_path / folder)
        follow(made, Wearing(made.trained()), course, lambda step, row: None, lambda: next(looks, None) is None)
        return made

    straight = go_on("straight")
    with pytest.raises(Interrupted):
        go_on("stopped", until=2)
    resumed = go_on("stopped")
    assert content_digest(resumed.state()) == content_digest(straight.state())


PAGE = """\
name: moments
data: {{dataset: noise-like-fashion-mnist, size: 32, fit: pad, count: {count}}}
model: {{kind: sngan, width: 4, critic_width: 4, latent: 4}}
ticket: {ticket}
arms: [ticket, dense, random]
train: {{objective: moment_matching, steps: 2, batch: 4, extractor: {extractor}{more}}}
evaluate: {{samples: 20, extractor: {{kind: random_conv, width: 4, seed: 1}}}}
compute: {{device: cpu, threads: 1}}
matrix: {{seed: [0, 1]}}
"""
IMP = "{method: magnitude, schedule: {rounds: 2, rate: 0.5}}"
CONV = "{kind: random_conv, width: 4}"
LAB = "{kind: lab_classifier, steps: 1, model: {kind: convnet, width: 4}}"


def page(project: Path, *, ticket: str = IMP, extractor: str = CONV, more: str = "", count: int = 128) -> Path:
    (project / ".ticketlab").mkdir(exist_ok=True)
    stand_in(KNOWN["fashion-mnist"], project)
    file = project / "moments.yaml"
    file.write_text(PAGE.format(ticket=ticket, extractor=extractor, more=more, count=count))
    return file


def of_kind(plan: Any, kind: type) -> list[Any]:
    return [step for _, step in plan.steps() if isinstance(step, kind)]


def test_all_trainings_of_all_seeds_share_what_is_prepared_once(tmp_path: Path) -> None:
    plan = ticketlab.plan(page(tmp_path)).plan
    (prepared,) = of_kind(plan, Prepared)
    assert prepared.inputs == {}
    assert {step.inputs["prepared"].digest for step in of_kind(plan, Train)} == {prepared.digest}
    other = ticketlab.plan(page(tmp_path, more=", optimizer: {kind: adam, lr: 0.01}, reduction: mean")).plan
    assert of_kind(other, Prepared)[0].digest == prepared.digest
    another = ticketlab.plan(page(tmp_path, extractor="{kind: random_conv, width: 5}")).plan
    assert of_kind(another, Prepared)[0].digest != prepared.digest


def test_few_images_are_all_that_a_trained_extractor_and_the_moments_see(tmp_path: Path) -> None:
    plan = ticketlab.plan(page(tmp_path, extractor=LAB, count=30), ["matrix={seed: [0]}"]).plan
    (prepared,) = of_kind(plan, Prepared)
    assert set(prepared.inputs) == {"subset", "extractor"}
    assert set(prepared.inputs["extractor"].inputs) == {"subset"}
    trainings = [step for step in of_kind(plan, Train) if "prepared" in step.inputs]
    assert {step.inputs["looks_through"].digest for step in trainings} == {prepared.inputs["extractor"].digest}


def test_a_method_that_looks_at_losses_is_given_what_is_prepared(tmp_path: Path) -> None:
    plan = ticketlab.plan(page(tmp_path, ticket="{method: snip, schedule: {density: 0.5}, probe: {per_class: 1}}")).plan
    for draw in of_kind(plan, Draw):
        assert "prepared" in draw.inputs


def test_moment_matching_drives_the_search_from_spec_to_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    file = page(tmp_path, ticket="{method: edge_popup, density: 0.5}", extractor=LAB)
    outcome = ticketlab.run(ticketlab.plan(file, ["matrix={seed: [0]}"]))
    assert outcome.failures == []
    assert [result.density == 1.0 for result in outcome.results] == [False, True, False]
    for entry in Chain(tmp_path / "ledger.jsonl").entries():
        run = facts(entry.statement)
        assert [one.name for one in run.statistics] == ["statistics.npz", "prepared.safetensors"]
        assert [one.name for one in run.extractors] == ["looks_through.safetensors"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ticket": "{method: random, schedule: {density: 0.5}, networks: [critic]}"}, "does not train the critic"),
        ({"more": ", augment: [{kind: flip}]"}, "taken once"),
        ({"extractor": "{kind: random_conv, width: 4, seed: 1}"}, "cannot be measured by the same features"),
    ],
)
def test_what_makes_no_sense_is_refused_when_the_spec_is_read(tmp_path: Path, changes: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        ticketlab.load_spec(page(tmp_path, **changes))
