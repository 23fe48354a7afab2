"""What a plan says of a run's length: trainings, draws and measurements are counted, on the device that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

import ticketlab
from ticketlab.cli.screen import duration
from ticketlab.plan.steps import Step
from ticketlab.run.estimate import PROBE_BATCH, convolution_speed, estimate
from ticketlab.run.experiment import Experiment
from ticketlab.run.work import cost_of, multiply_adds
from ticketlab.spec.catalog import facts

DRAWN = """\
name: counted
data: {dataset: mnist, count: 1000}
model: {kind: mlp, hidden: [4]}
ticket: {method: snip, schedule: {rounds: 3, density: 0.5}, probe: {per_class: 2}}
arms: [ticket]
train: {objective: cross_entropy, steps: 40, batch: 16}
evaluate: {every: 10}
compute: {device: cpu, threads: 1}
"""
GENERATED = """\
name: counted
data: {dataset: cifar10}
model: {kind: sngan, width: 4, critic_width: 4, latent: 8}
arms: [dense]
train: {objective: hinge, steps: 2, batch: 4, generator_batch: 4, n_critic: 1}
evaluate: {samples: 500, metrics: [frechet]}
compute: {device: DEVICE, threads: 1}
"""
FORWARD = 784 * 4 + 4 * 10


def opened(folder: Path, page: str) -> Experiment:
    (folder / ".ticketlab").mkdir()
    (folder / "counted.yaml").write_text(page)
    return ticketlab.plan(folder / "counted.yaml")


def work_of(experiment: Experiment) -> dict[str, int]:
    def counted(step: Step, dataset: str) -> int:
        return multiply_adds(step, facts(dataset, experiment.project.root))

    steps = experiment.plan.steps()
    return {step.kind: counted(step, address.cell.spec.data.dataset) for address, step in steps}


def test_rounds_of_a_draw_and_the_images_of_every_measurement_are_counted(tmp_path: Path) -> None:
    assert work_of(opened(tmp_path, DRAWN)) == {
        "subset": 0,
        "draw": 3 * (2 * 10 * 3) * FORWARD,
        "train": 40 * 16 * 3 * FORWARD,
        "curve": 3 * 10_000 * FORWARD,
        "evaluate": 10_000 * FORWARD,
    }


def test_samples_are_made_and_looked_at(tmp_path: Path) -> None:
    experiment = opened(tmp_path, GENERATED.replace("DEVICE", "cpu"))
    cell = experiment.plan.cells[0]
    extractor = cell.spec.evaluate.extractor.training()
    assert extractor is not None
    images = cell.arms[0].final.train.images
    (look,) = (one.multiply_adds for one in cost_of(extractor[0], images).values())
    make = cost_of(cell.spec.model, images)["generator"].multiply_adds
    found = work_of(experiment)
    assert found["evaluate"] == 500 * (make + look)
    assert found["statistics"] in (50_000 * look, 10_000 * look)
    assert min(look, make) > 0


def test_the_device_that_is_asked_for_is_measured_or_the_one_there_is(tmp_path: Path) -> None:
    import torch

    found = estimate(opened(tmp_path, GENERATED.replace("DEVICE", "cuda")))
    assert found.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert found.seconds == pytest.approx(sum(step.multiply_adds for step in found.steps) / found.speed)
    assert all(convolution_speed(device) > 0 for device in PROBE_BATCH if device == found.device)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7140, "119 min"),
        (7200, "2 h 0 min"),
        (172_740, "47 h 59 min"),
        (172_800, "2 d 0 h"),
        (7_933_062, "91 d 20 h"),
    ],
)
def test_times_are_said_in_units_that_people_count_in(seconds: float, said: str) -> None:
    assert duration(seconds) == said
