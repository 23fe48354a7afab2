from collections.abc import Callable
from pathlib import Path

import pytest

import ticketlab
from ticketlab.plan.experiment import Plan

GAN = """\
name: gan
data: {dataset: fashion-mnist-mini, size: 32, fit: pad, ratio: 0.5}
model: {kind: sngan, width: 4, critic_width: 4, latent: 8}
ticket: {method: magnitude, schedule: {rounds: 2, rate: 0.5}}
arms: [ticket, dense, random, shuffled, fresh_weights]
train: {objective: hinge, steps: 20, augment: [{kind: diffaugment}]}
evaluate: {samples: 20, every: 5}
"""

CLASSIFIER = """\
name: classifier
data: {dataset: fashion-mnist-mini}
model: {kind: mlp, hidden: [8]}
ticket: {method: magnitude, schedule: {rounds: 2, rate: 0.5}}
arms: [ticket, dense]
train: {objective: cross_entropy, steps: 20, augment: [{kind: crop}]}
"""


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., Plan]:
    """The plan of a page (`gan`, `classifier`) with overrides, in an empty project."""
    (tmp_path / ".ticketlab").mkdir()

    def make(page: str, *overrides: str) -> Plan:
        file = tmp_path / f"{page}.yaml"
        file.write_text({"gan": GAN, "classifier": CLASSIFIER}[page])
        return ticketlab.plan(file, overrides).plan

    return make
