"""Tickets that a training makes: they go on exactly across a stop, and a search may come before the training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.synthetic import PREFIX, stand_in
from ticketlab.errors import Interrupted
from ticketlab.files import sha256_file
from ticketlab.plan.arm import ArmPlan
from ticketlab.plan.cell import CellPlanner
from ticketlab.plan.steps import Images, Train
from ticketlab.run.execute import Executor
from ticketlab.run.store import Store
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.resolve import resolve
from ticketlab.spec.spec import Spec
from ticketlab.tickets.file import read as read_ticket
from ticketlab.training import checkpoint

CLASSIFIER = {
    "name": "x",
    "data": {"dataset": "fashion-mnist"},
    "model": {"kind": "mlp", "hidden": [6]},
    "train": {"objective": "cross_entropy", "steps": 8, "batch": 8},
    "compute": {"threads": 1, "checkpoint_seconds": 0, "log_every": 1},
}
GAN = {
    "name": "x",
    "data": {"dataset": "fashion-mnist", "size": 32},
    "model": {"kind": "sngan", "width": 4, "critic_width": 4, "latent": 8},
    "train": {"objective": "hinge", "steps": 8, "batch": 4, "generator_batch": 4, "n_critic": 1, "ema": 0.5},
    "evaluate": {"samples": 16, "extractor": {"kind": "random_conv", "width": 4}},
    "compute": {"threads": 1, "checkpoint_seconds": 0, "log_every": 1},
}
REGENERATIVE = {"method": "regenerative", "every": 1, "rise": 1e-2, "layers": ["conv", "linear"]}


def spec(page: dict[str, Any], ticket: dict[str, Any], **sections: Any) -> Spec:
    return resolve(Spec.model_validate({**page, "ticket": ticket, **sections}), KNOWN["fashion-mnist"])


def arm(asked: Spec, folder: Path, name: str = "ticket") -> ArmPlan:
    stand_in(KNOWN["fashion-mnist"], folder)
    data = asked.data
    digest = read_manifest(folder, PREFIX + "fashion-mnist").content
    images = Images(PREFIX + "fashion-mnist", digest, 1, 10, data.size, data.fit, data.scaling)  # type: ignore[arg-type]
    planner = CellPlanner(Spec.model_validate({**asked.asks(), "arms": [name]}), images, None)
    return planner.arms()[0]


def done(plan: ArmPlan, folder: Path, stopping: Callable[[], bool] = lambda: False) -> Store:
    store = Store(folder)
    executor = Executor(lambda _: folder, store, lambda event: None, stopping)
    for step in plan.steps():
        executor.ensure(step, "x")
    return store


def digests(plan: ArmPlan, store: Store) -> dict[str, str]:
    folder = store.result(plan.final.train).folder
    return {
        path.name: sha256_file(path) for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".png")
    }


@pytest.mark.parametrize("page", [CLASSIFIER, GAN], ids=["classifier", "gan"])
def test_regenerative_pruning_goes_on_exactly_from_a_stop_at_any_step(page: dict[str, Any], tmp_path: Path) -> None:
    networks = ["classifier"] if page is CLASSIFIER else ["generator", "critic"]
    asked = spec(page, {**REGENERATIVE, "networks": networks})
    plan = arm(asked, tmp_path / "whole")
    whole = done(plan, tmp_path / "whole")
    rows = (whole.result(plan.final.train).folder / "ticket.safetensors", whole.journal(plan.final.train).read_text())
    assert '"density_' in rows[1]
    arm(asked, tmp_path / "pieces")
    for _ in range(60):
        questions = iter((False, True))
        try:
            pieces = done(plan, tmp_path / "pieces", lambda asking=questions: next(asking, True))  # type: ignore[misc]
            break
        except Interrupted:
            continue
    else:
        pytest.fail("the run never ended")
    assert digests(plan, pieces) == digests(plan, whole)


def test_what_is_left_of_regenerative_pruning_is_a_plain_network_under_its_mask(tmp_path: Path) -> None:
    plan = arm(spec(CLASSIFIER, {**REGENERATIVE, "every": 8}), tmp_path)
    store = done(plan, tmp_path)
    result = store.result(plan.final.train)
    mask = read_ticket(result.path("ticket.safetensors"))[0]
    weights, _ = checkpoint.read(result.path("weights.safetensors"))
    assert not [name for name in weights if "change" in name]
    for layer, kept in mask.items():
        assert not weights[layer][~kept].any()
    assert mask.kept < mask.size


@pytest.mark.parametrize("rewind", ["init", "none"])
def test_a_search_before_the_training_draws_the_ticket_that_it_wears(rewind: str, tmp_path: Path) -> None:
    search = {"objective": "cross_entropy", "steps": 5, "batch": 8, "optimizer": {"kind": "adam", "lr": 0.01}}
    ticket = {"method": "edge_popup", "density": 0.4, "search": search, "rewind": rewind}
    asked = spec(CLASSIFIER, ticket)
    plan = arm(asked, tmp_path)
    (searched,) = plan.rounds
    assert isinstance(searched.train, Train)
    assert (searched.train.objective.steps, plan.final.train.objective.steps) == (5, 8)
    assert plan.final.train.inputs["mask"] == searched.train
    assert ("rewound" in plan.final.train.inputs) is (rewind == "none")
    store = done(plan, tmp_path)
    mask = read_ticket(store.result(searched.train).path("ticket.safetensors"))[0]
    before, _ = checkpoint.read(store.result(searched.train).path("weights.safetensors"))
    after, _ = checkpoint.read(store.result(plan.final.train).path("weights.safetensors"))
    for layer, kept in mask.items():
        assert not after[layer][~kept].any()
        assert bool((after[layer][kept] != before[layer][kept]).any()), "phase 2 trains the weights"


def test_controls_of_a_search_are_trained_like_the_ticket(tmp_path: Path) -> None:
    search = {"objective": "cross_entropy", "steps": 5, "batch": 8}
    asked = spec(CLASSIFIER, {"method": "edge_popup", "density": 0.4, "search": search})
    ticket, random = arm(asked, tmp_path, "ticket"), arm(asked, tmp_path, "random")
    assert ticket.rounds[0].train.digest == random.rounds[0].train.digest
    assert random.final.train.inputs["mask"].inputs["mask"].digest == ticket.rounds[0].train.digest
    assert not random.final.train.still


def test_what_the_search_is_followed_by_does_not_change_it(tmp_path: Path) -> None:
    search = {"objective": "cross_entropy", "steps": 5, "batch": 8}
    first, second = (
        arm(spec(CLASSIFIER, {"method": "edge_popup", "density": 0.4, "search": search, "rewind": rewind}), tmp_path)
        for rewind in ("init", "none")
    )
    assert first.rounds[0].train.digest == second.rounds[0].train.digest
    assert first.final.train.digest != second.final.train.digest


def test_refusals_name_the_place_and_the_mend() -> None:
    with pytest.raises(Impossible, match=r"every 3 steps") as other:
        spec(CLASSIFIER, {**REGENERATIVE, "every": 3}, evaluate={"every": 2})
    assert other.value.path == ("evaluate", "every")
    with pytest.raises(Impossible, match="none is measured"):
        spec(CLASSIFIER, REGENERATIVE, evaluate={"metrics": ["accuracy"]})
    with pytest.raises(Impossible, match="`accuracy` is not among") as judge:
        spec(CLASSIFIER, {**REGENERATIVE, "judge": "accuracy"})
    assert judge.value.path == ("ticket", "judge")
    with pytest.raises(Impossible, match="moving average") as average:
        spec(GAN, {"method": "edge_popup", "density": 0.5})
    assert average.value.path == ("train", "ema")
    search = {**GAN["train"], "ema": 0.9}  # type: ignore[dict-item]
    with pytest.raises(Impossible, match="moving average") as average:
        spec(GAN, {"method": "edge_popup", "density": 0.5, "search": search})
    assert average.value.path == ("ticket", "search", "ema")
    with pytest.raises(Impossible, match="trains a gan"):
        spec(CLASSIFIER, {"method": "edge_popup", "density": 0.5, "search": GAN["train"]})
