"""A method that needs networks, batches and losses is given them by the run: SNIP as a third party would add it."""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import Field

from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.synthetic import PREFIX, stand_in
from ticketlab.errors import DataError
from ticketlab.plan.steps import Draw, Images, Subset
from ticketlab.run.execute import Executor
from ticketlab.run.steps.networks import initial_networks
from ticketlab.run.store import Store
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.compute import Compute
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.foresight import SynFlow, SynFlowL2
from ticketlab.spec.model import Mlp, Sngan
from ticketlab.spec.optimizer import Adam
from ticketlab.spec.probed import Probe, Probed
from ticketlab.spec.ticket import Random
from ticketlab.spec.train import CrossEntropy, Hinge
from ticketlab.tickets.file import read
from ticketlab.tickets.prune import draw_ticket

NOISE = PREFIX + "fashion-mnist"


@cache
def digest() -> str:
    """What the pack of noise is known by in a plan; its noise is the same everywhere."""
    with tempfile.TemporaryDirectory() as folder:
        stand_in(KNOWN["fashion-mnist"], Path(folder))
        return read_manifest(Path(folder), NOISE).content


SNIP = '''"""Connection sensitivity: |w dL/dw| on one batch."""


def scores(options, subject):
    networks = subject.networks()
    losses = subject.losses(networks, 0)
    assert set(subject.inputs(0)) == set(losses)
    found = {}
    for name, network in networks.items():
        network.zero_grad()
    sum(losses.values()).backward()
    for layer in subject.weights:
        name, _, parameter = layer.partition(".")
        live = dict(networks[name].named_parameters())[parameter]
        found[layer] = (live * live.grad).abs().detach()
    return found
'''


class Snip(Probed):
    """Connection sensitivity."""

    made_by: ClassVar[str] = "third_party_snip:scores"
    about: ClassVar[str] = "connection sensitivity"
    method: Literal["snip"] = Field(default="snip", description="SNIP.")


@pytest.fixture
def snip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Snip:
    (tmp_path / "third_party_snip.py").write_text(SNIP)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "third_party_snip", raising=False)
    return Snip(schedule=Schedule(density=0.25), probe=Probe(per_class=1, batch=4))


def classifier(snip: Snip) -> Draw:
    images = Images(NOISE, digest(), 1, 10, 28, "resize", "standard")
    ticket = snip.model_copy(update={"networks": ("classifier",), "layers": ("conv", "linear")})
    objective = CrossEntropy(steps=1, batch=8)
    model = Mlp(hidden=(6,))
    return Draw(
        seed=3,
        images=images,
        model=model,
        ticket=ticket,
        first=1,
        round=1,
        compute=Compute(threads=1),
        objective=objective,
    )


def gan(snip: Snip) -> Draw:
    images = Images(NOISE, digest(), 1, 10, 32, "pad", "symmetric")
    ticket = snip.model_copy(update={"networks": ("generator", "critic"), "layers": ("conv",)})
    objective = Hinge(steps=1, batch=4, generator_batch=4, critic_optimizer=Adam())
    model = Sngan(width=4, critic_width=4, latent=8)
    return Draw(
        seed=3,
        images=images,
        model=model,
        ticket=ticket,
        first=1,
        round=1,
        compute=Compute(threads=1),
        objective=objective,
    )


def drawn(step: Draw, store: Path) -> Any:
    stand_in(KNOWN["fashion-mnist"], store)
    executor = Executor(lambda dataset: store, Store(store), lambda event: None, lambda: False)
    return read(executor.ensure(step, "ticket").path("ticket.safetensors"))[0]


@pytest.mark.parametrize("kind", [classifier, gan])
def test_a_method_gets_networks_batches_and_losses_and_the_same_mask_each_time(
    kind: Any, snip: Snip, tmp_path: Path
) -> None:
    first, second = drawn(kind(snip), tmp_path / "one"), drawn(kind(snip), tmp_path / "two")
    assert first == second
    kept = [
        sum(first.layer_kept()[layer] for layer in first if layer.startswith(name)) for name in ("generator", "critic")
    ]
    total = first.kept if kind is classifier else sum(kept)
    assert total == first.kept
    assert abs(float(first.density) - 0.25) < 1e-3


def test_what_a_method_does_to_its_networks_is_gone_with_them(snip: Snip, tmp_path: Path) -> None:
    step = classifier(snip)
    before = initial_networks(step.model, step.images, step.seed, "init")["classifier"].state_dict()
    state = torch.get_rng_state()
    drawn(step, tmp_path / "store")
    after = initial_networks(step.model, step.images, step.seed, "init")["classifier"].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("method", [Random, SynFlow, SynFlowL2])
def test_a_step_draws_what_draw_ticket_draws_of_the_same_weights(method: Any, snip: Snip, tmp_path: Path) -> None:
    places = {"networks": ("classifier",), "layers": ("conv", "linear")}
    ticket = method(schedule=Schedule(rounds=3, density=0.2), scope="erk", **places)
    fields = {name: value for name, value in vars(classifier(snip)).items() if name != "digest"}
    step = Draw(**{**fields, "ticket": ticket, "round": 3, "objective": None})
    networks = initial_networks(step.model, step.images, step.seed, "init")
    assert drawn(step, tmp_path) == draw_ticket(ticket, networks, torch.ones(1, 1, 28, 28), seed=step.seed)


def test_the_objective_is_part_of_the_digest_of_a_draw_that_needs_it(snip: Snip) -> None:
    step = classifier(snip)
    fields = {name: value for name, value in vars(step).items() if name != "digest"}
    other = Draw(**{**fields, "objective": CrossEntropy(steps=1, batch=16)})
    assert step.digest != other.digest


def test_a_class_of_which_too_few_images_are_kept_is_said(snip: Snip, tmp_path: Path) -> None:
    """The first images of a file need not be balanced: 40 of these have 4 of each class, and 3 of each are too few for 4."""
    step = classifier(snip.model_copy(update={"probe": Probe(per_class=4, batch=4)}))

    def limited(count: int) -> Draw:
        subset = Subset(dataset=NOISE, dataset_digest=digest(), count=count, rule="first", seed=3)
        fields = {name: value for name, value in vars(step).items() if name != "digest"}
        return Draw(**{**fields, "inputs": {"subset": subset}})

    store = tmp_path / "store"
    stand_in(KNOWN["fashion-mnist"], store)
    executor = Executor(lambda dataset: store, Store(store), lambda event: None, lambda: False)
    for count in (40, 39):
        executor.ensure(limited(count).inputs["subset"], "ticket")
    assert executor.ensure(limited(40), "ticket").files
    with pytest.raises(DataError, match="the probe set has 4 images of each class, and of class 9 only 3 are kept"):
        executor.ensure(limited(39), "ticket")
