"""A ticket is carried to other images: its mask lands on layers of its names and shapes, counts, is recorded, or is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import ticketlab
from ticketlab.datasets.pack import Split, write_pack
from ticketlab.errors import CorruptFile, DataError, SpecError, TicketlabError
from ticketlab.files import copy_atomically, sha256_file
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.statement import facts
from ticketlab.plan.steps import Draw, Step, Transfer
from ticketlab.run.events import Event, LayerCollapse, Listener, Notice
from ticketlab.run.execute import Executor
from ticketlab.run.experiment import Experiment
from ticketlab.run.project import Project
from ticketlab.run.steps.networks import initial_networks, trained_weights
from ticketlab.run.verify import verify
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import read, write
from ticketlab.tickets.layers import FILE as LAYERS
from ticketlab.tickets.layers import Layers
from ticketlab.tickets.mask import Mask
from ticketlab.training.setup import tensors_of

PAGE: dict[str, Any] = {
    "name": "ten",
    "seed": 3,
    "data": {"dataset": "ten"},
    "model": {"kind": "resnet", "depth": 8, "width": 4},
    "ticket": {"method": "random", "schedule": {"density": 0.5}},
    "arms": ["ticket"],
    "train": {"objective": "cross_entropy", "steps": 2, "batch": 4},
    "compute": {"device": "cpu", "threads": 1},
}
HEAD = "classifier.fc.weight"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of noise in ten classes, and others in twenty."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    (tmp_path / ".ticketlab").mkdir()
    noise = torch.Generator().manual_seed(0)
    for name, classes in (("ten", 10), ("twenty", 20)):
        splits: dict[Any, Split] = {
            split: Split(
                torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=noise), torch.arange(40) % classes
            )
            for split in ("train", "test")
        }
        names = tuple(f"class {number}" for number in range(classes))
        write_pack(tmp_path, name, splits, class_names=names, licence="CC0-1.0", source="noise")
    return tmp_path


def opened(project: Path, *, smoke: bool = False, **changes: Any) -> Experiment:
    page = {**PAGE, **changes}
    file = project / f"{page['name']}.yaml"
    file.write_text(json.dumps(page))
    return ticketlab.plan(file, smoke=smoke)


def drawn(project: Path, **changes: Any) -> dict[str, str]:
    """A ticket drawn on ten classes, as the `ticket` section that carries it on."""
    copy_atomically(performed(opened(project, **changes), Draw) / "ticket.safetensors", project / "ticket.safetensors")
    return {"method": "file", "file": "ticket.safetensors", "sha256": sha256_file(project / "ticket.safetensors")}


def performed(experiment: Experiment, kind: type[Step], listener: Listener = lambda event: None) -> Path:
    """The folder of the one step of a kind, done without those that need it."""
    (step,) = [step for _, step in experiment.plan.steps() if isinstance(step, kind)]
    executor = Executor(experiment.project.home, experiment.store, listener, lambda: False)
    return [executor.ensure(one, "ticket") for one in step.lineage()][-1].path("ticket.safetensors").parent


def twenty(project: Path, ticket: Mapping[str, Any], **changes: Any) -> Experiment:
    return opened(project, **{"name": "twenty", "data": {"dataset": "twenty"}, "ticket": dict(ticket), **changes})


def masks(experiment: Experiment) -> dict[str, Mask]:
    """What the arms wear, by their names; trained are they not."""
    executor, found = Executor(experiment.project.home, experiment.store, lambda event: None, lambda: False), {}
    for address in experiment.plan.arms():
        if address.plan.final.mask is not None:
            results = [executor.ensure(one, "ticket") for one in address.plan.final.mask.lineage()]
            found[address.plan.arm] = read(results[-1].path("ticket.safetensors"))[0]
    return found


def transferred(experiment: Experiment) -> Mask:
    """The mask that the experiment's one transfer makes."""
    return read(performed(experiment, Transfer) / "ticket.safetensors")[0]


@pytest.mark.long
def test_a_ticket_is_carried_to_other_classes_and_the_ledger_names_its_file(project: Path) -> None:
    ticket = drawn(project)
    _, of_source, _ = read(project / ticket["file"])
    experiment = twenty(project, ticket)
    outcome = ticketlab.run(experiment)
    assert outcome.failures == []
    mask = masks(experiment)["ticket"]
    assert outcome.results[0].density == float(mask.density)
    (final,) = (address.plan.final for address in experiment.plan.arms())
    weights = trained_weights(experiment.store.result(final.train).path("weights.safetensors"))
    assert all(not weights[layer][~kept].any() for layer, kept in mask.items())
    assert weights[HEAD].shape[0] == 20
    assert weights[HEAD].all()
    (entry,) = Chain(project / "ledger.jsonl").entries()
    (named,) = facts(entry.statement).starts
    assert (named.name, named.sha256, named.origin) == ("ticket.safetensors", ticket["sha256"], "the file of a ticket")
    assert verify(entry, Project(project)).finding == "IDENTICAL"
    about = read(project / "runs/twenty/tickets/ticket/ticket.safetensors")[1]
    assert (about.method, about.round) == ("file", of_source.round)


def test_all_but_the_head_wears_the_files_mask_and_controls_are_drawn_from_that(project: Path) -> None:
    ticket = drawn(project)
    found = masks(twenty(project, ticket, arms=["ticket", "dense", "random", "shuffled", "fresh_weights"]))
    source = read(project / ticket["file"])[0]
    assert found["ticket"].keys() == source.keys() - {HEAD}
    assert all(torch.equal(kept, source[layer]) for layer, kept in found["ticket"].items())
    assert found.keys() == {"ticket", "random", "shuffled", "fresh_weights"}
    assert found["fresh_weights"] == found["ticket"]
    for control in ("random", "shuffled"):
        assert found[control] != found["ticket"]
        assert found[control].layer_kept() == found["ticket"].layer_kept()


def test_under_the_seed_it_was_drawn_with_a_ticket_meets_its_own_initial_weights(project: Path) -> None:
    """All but the head are the same bits, so the initial values need no file; `fresh_weights` has others."""
    ticket = {"method": "file", "file": "x", "sha256": "0" * 64}
    here, there = (next(iter(one.plan.arms())).plan.final.train for one in (opened(project), twenty(project, ticket)))
    first, second = (tensors_of(initial_networks(one.model, one.images, one.seed, "init")) for one in (here, there))
    assert {name for name in first if not torch.equal(first[name], second[name])} == {HEAD, "classifier.fc.bias"}


def test_a_head_with_as_many_outputs_wears_its_mask_unless_it_is_asked_to_be_dense(project: Path) -> None:
    ticket = drawn(project)
    source = read(project / ticket["file"])[0]
    again = {"name": "again", "data": {"dataset": "ten"}, "seed": 4}
    assert transferred(opened(project, ticket=ticket, **again)) == source
    dense = transferred(opened(project, ticket={**ticket, "last_layer": "dense"}, **again))
    assert list(dense) == [layer for layer in source if layer != HEAD]
    convolutions = transferred(opened(project, ticket={**ticket, "layers": ["conv"]}, **again))
    assert convolutions == dense
    with pytest.raises(DataError, match=r"classifier\.fc\.weight has the shape \(20, 16\), the file's mask \(10, 16\)"):
        transferred(twenty(project, {**ticket, "last_layer": "pruned"}))


def test_a_control_keeps_the_structure_that_the_mask_is_said_to_have(project: Path) -> None:
    structure = {"kind": "n_of_m", "n": 2, "m": 4}
    ticket = drawn(project, ticket={"method": "random", "structure": structure, "schedule": {"density": 0.5}})
    experiment = twenty(project, {**ticket, "structure": structure}, arms=["ticket", "random"])
    found = masks(experiment)
    assert found["random"] != found["ticket"]
    for layer, kept in found["random"].items():
        groups = kept.narrow(1, 0, kept.shape[1] // 4 * 4).unflatten(1, (-1, 4)).sum(2)
        assert (groups == 2).all(), layer


def refused(project: Path, kind: type[TicketlabError], said: str, ticket: Mapping[str, Any], **changes: Any) -> bool:
    with pytest.raises(kind, match=said) as caught:
        transferred(twenty(project, ticket, **changes))
    assert caught.value.where
    return bool(caught.value.mend)


def test_tickets_of_other_models_and_files_that_are_none_are_refused_in_one_line(project: Path) -> None:
    ticket = drawn(project)
    resnet = PAGE["model"]
    deeper = r"classifier\.blocks\.1\.conv1\.weight has the shape \(4, 4, 3, 3\), the file's mask \(8, 4, 3, 3\)"
    assert refused(project, DataError, deeper, ticket, model={**resnet, "depth": 14})
    wider = r"classifier\.[a-z0-9]*\.weight has the shape \(8, 3, 3, 3\), the file's mask \(4, 3, 3, 3\)"
    assert refused(project, DataError, wider, ticket, model={**resnet, "width": 8})
    assert refused(project, DataError, "the model has no layer", ticket, model={"kind": "mlp", "hidden": [6]})
    assert refused(project, DataError, "it masks no linear layer", {**ticket, "layers": ["linear"]})
    assert refused(project, DataError, "no such file of masks", {**ticket, "file": "none.safetensors"})
    assert refused(project, DataError, "sha256 of this file", {**ticket, "sha256": "a" * 64})
    two = {"kind": "mlp", "hidden": [6, 6]}
    write(project / "one", Mask.dense({"classifier.hidden.0.weight": (6, 3072)}), TicketFacts("x", 1, 0, "0" * 64))
    shallow = {**ticket, "file": "one", "sha256": sha256_file(project / "one")}
    gap = r"the file has no mask of classifier\.hidden\.2\.weight"
    assert refused(project, DataError, gap, shallow, model=two)
    assert list(transferred(twenty(project, shallow, model={**two, "hidden": [6]}))) == ["classifier.hidden.0.weight"]
    for content in (b"no", pickle.dumps({"classifier.fc.weight": 1})):
        (project / "bad").write_bytes(content)
        bad = {**ticket, "file": "bad", "sha256": hashlib.sha256(content).hexdigest()}
        assert refused(project, CorruptFile, "not a ticket", bad)


def test_a_network_that_is_not_there_is_refused_when_the_spec_is_read(project: Path) -> None:
    ticket = {"method": "file", "file": "x", "sha256": "0" * 64}
    with pytest.raises(SpecError, match="`resnet` has no network `generator`"):
        twenty(project, {**ticket, "networks": ["generator"]})


def test_where_the_file_lies_changes_no_step_and_its_content_changes_what_it_reaches(project: Path) -> None:
    ticket = {"method": "file", "file": "x", "sha256": "0" * 64}

    def steps(**changes: str) -> dict[str, str]:
        experiment = twenty(project, {**ticket, **changes}, arms=["ticket", "dense"])
        return {step.digest: step.title for _, step in experiment.plan.steps()}

    assert steps(file="elsewhere/y") == steps()
    common = steps(sha256="1" * 64).keys() & steps().keys()
    assert {title for digest, title in steps().items() if digest in common} == {
        "train, dense",
        "evaluate accuracy, loss",
    }


def test_a_layer_of_which_the_file_keeps_nothing_is_reported(project: Path) -> None:
    ticket = drawn(project)
    source = read(project / ticket["file"])[0]
    first = next(iter(source))
    emptied = {layer: kept & (layer != first) for layer, kept in source.items()}
    write(project / "emptied", Mask(emptied), TicketFacts("random", 2, 0, "0" * 64))
    experiment = twenty(project, {**ticket, "file": "emptied", "sha256": sha256_file(project / "emptied")})
    events: list[Event] = []
    folder = performed(experiment, Transfer, events.append)
    assert [(event.round, event.layers) for event in events if isinstance(event, LayerCollapse)] == [(2, (first,))]
    layers = Layers.read(folder / LAYERS)
    assert dict(layers.collapsed) == {first: 2}
    ((kept, dense),) = layers.network_multiply_adds.values()
    assert 0 < kept < dense


def test_a_smoke_run_wears_noise_where_the_file_is_not_here_and_says_so(project: Path) -> None:
    """Each cell's own: their models differ."""
    ticket = {"method": "file", "file": "runs/x/ticket.safetensors", "sha256": "0" * 64}
    events: list[Event] = []
    experiment = twenty(project, ticket, smoke=True, matrix={"model.width": [4, 8]})
    assert ticketlab.run(experiment, listener=events.append).failures == []
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any(text.startswith("noise-like-ticket.safetensors stands in") for text in told)
    assert all(0.4 < float(mask.density) < 0.6 for mask in masks(experiment).values())
