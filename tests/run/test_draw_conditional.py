"""Tickets of a generator that is told classes, as a third party would add it, by methods that sum over its paths."""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.synthetic import PREFIX, stand_in
from ticketlab.plan.steps import Draw, Images
from ticketlab.run.execute import Executor
from ticketlab.run.store import Store
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.compute import Compute
from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.foresight import NtkSap, Px, Snip, SynFlow
from ticketlab.spec.modelling import ModelChoice
from ticketlab.spec.optimizer import Adam
from ticketlab.spec.probed import Probe
from ticketlab.spec.task import GAN, Task
from ticketlab.spec.train import Hinge
from ticketlab.tickets.file import read

NOISE = PREFIX + "fashion-mnist"

TOLD = '''"""A generator that is told classes."""

import torch
import torch.nn.functional as F
from torch import nn

from ticketlab.models.build import Blueprint
from ticketlab.models.conditional import ConditionalBatchNorm2d
from ticketlab.models.entering import noise
from ticketlab.models.sngan import Critic, scheme


def blueprint(options, shape):
    return Blueprint({"generator": Told(shape), "critic": Critic(4, shape.channels, shape.size)}, scheme)


class Told(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.classes, self.side = shape.classes, shape.size // 4
        self.first = nn.Linear(6, 4 * self.side**2)
        self.norm = ConditionalBatchNorm2d(4, shape.classes)
        self.last = nn.Conv2d(4, shape.channels, 3, padding=1)

    def entering(self, count, key):
        labels = torch.randint(self.classes, (count,), generator=key.of("labels").generator(), device="cpu")
        return noise(count, 6, key), labels

    def forward(self, latents, labels):
        grid = self.first(latents).view(-1, 4, self.side, self.side)
        grid = self.norm(F.interpolate(grid, scale_factor=4), labels)
        return self.last(grid.relu()).tanh()
'''


class ToldGan(ModelChoice):
    """A small GAN whose generator is told classes."""

    made_by: ClassVar[str] = "third_party_told:blueprint"
    about: ClassVar[str] = "a generator that is told classes"
    trains: ClassVar[Task] = GAN
    networks: ClassVar[tuple[str, ...]] = ("generator", "critic")
    kind: Literal["told"] = Field(default="told", description="Told classes.")


@cache
def digest() -> str:
    with tempfile.TemporaryDirectory() as folder:
        stand_in(KNOWN["fashion-mnist"], Path(folder))
        return read_manifest(Path(folder), NOISE).content


@pytest.mark.parametrize("method", [SynFlow, Px, Snip, NtkSap])
def test_a_generator_that_is_told_classes_has_tickets(
    method: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "third_party_told.py").write_text(TOLD)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "third_party_told", raising=False)
    probe = {} if method is SynFlow else {"probe": Probe(per_class=1, batch=5)}
    ticket: Drawn = method(
        schedule=Schedule(density=0.25), networks=("generator", "critic"), layers=("conv", "linear"), **probe
    )
    step = Draw(
        seed=3,
        images=Images(NOISE, digest(), 1, 10, 32, "pad", "symmetric"),
        model=ToldGan(),
        ticket=ticket,
        first=1,
        round=1,
        compute=Compute(threads=1),
        objective=Hinge(steps=1, batch=4, generator_batch=4, critic_optimizer=Adam()),
    )
    stand_in(KNOWN["fashion-mnist"], tmp_path)
    executor = Executor(lambda dataset: tmp_path, Store(tmp_path), lambda event: None, lambda: False)
    mask = read(executor.ensure(step, "ticket").path("ticket.safetensors"))[0]
    assert abs(float(mask.density) - 0.25) < 1e-3
    assert 0 < mask.layer_kept()["generator.first.weight"] < mask["generator.first.weight"].numel()
