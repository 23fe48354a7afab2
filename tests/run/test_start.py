"""A network starts from a file of weights: what is in it lands where it belongs, counts, is recorded, or is refused."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from pydantic import TypeAdapter
from safetensors.torch import save_file
from torch import Tensor

import ticketlab
from ticketlab.datasets.shape import ImageShape
from ticketlab.datasets.synthetic import stand_in
from ticketlab.errors import DataError, SpecError
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.statement import facts
from ticketlab.models.build import build
from ticketlab.plan.steps import Draw, Start, Train
from ticketlab.randomness import Key
from ticketlab.run import start_file
from ticketlab.run.estimate import estimate
from ticketlab.run.events import Event, Notice
from ticketlab.run.execute import Executor
from ticketlab.run.experiment import Experiment
from ticketlab.run.project import Project
from ticketlab.run.start_file import torchvision_file
from ticketlab.run.steps.networks import initial_networks, trained_weights
from ticketlab.run.store import Result, Store
from ticketlab.run.verify import verify
from ticketlab.spec import start as start_options
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.model import ImagenetResnet, Model
from ticketlab.spec.start import RELEASED, TorchvisionWeights
from ticketlab.tickets.file import read as read_ticket
from ticketlab.training.checkpoint import content_digest
from ticketlab.training.setup import tensors_of

PAGE = """\
name: started
seed: {seed}
data: {{dataset: noise-like-cifar10, count: 40}}
model: {{kind: imagenet_resnet, depth: 18, width: {width}, start: {start}}}
ticket: {{method: magnitude, schedule: {{rounds: 2, rate: 0.5}}, round_steps: 1}}
arms: [ticket, dense, random, fresh_weights]
train: {{objective: cross_entropy, steps: 2, batch: 4, optimizer: {{kind: sgd, lr: 0.001}}}}
compute: {{device: cpu, threads: 1}}
"""
STEM = ("conv1.", "bn1.")


def theirs(classes: int = 10, channels: int = 3) -> dict[str, Tensor]:
    """A trained network's tensors, of depth 18 and width 4, under torchvision's names."""
    network = build(ImagenetResnet(depth=18, width=4), ImageShape(channels, 32, classes), Key(77))["classifier"]
    return {name: value + 1 for name, value in network.state_dict().items()}


def moco(tensors: dict[str, Tensor]) -> dict[str, Any]:
    body = {f"module.encoder_q.{name}": value for name, value in tensors.items() if not name.startswith("fc.")}
    return {"epoch": 800, "state_dict": {**body, "module.encoder_q.fc.0.weight": torch.ones(3, 3)}}


def clip(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    stages = {f"visual.{name}": value for name, value in tensors.items() if name.startswith("layer")}
    odd = {"visual.conv3.weight": torch.ones(4, 2, 3, 3), "visual.attnpool.k_proj.weight": torch.ones(2, 2)}
    return {**stages, **odd, "logit_scale": torch.tensor(4.6)}


LAYOUTS: dict[str, Callable[[dict[str, Tensor]], dict[str, Any]]] = {
    "torchvision": dict,
    "moco": moco,
    "clip": clip,
    "ticketlab": lambda tensors: {f"classifier.{name}": value for name, value in tensors.items()},
}
INITIAL = {"torchvision": (), "moco": ("fc.",), "clip": (*STEM, "fc."), "ticketlab": ()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".ticketlab").mkdir()
    stand_in(KNOWN["cifar10"], tmp_path)
    return tmp_path


def opened(project: Path, start: dict[str, str], *, seed: int = 0, width: int = 4, smoke: bool = False) -> Experiment:
    file = project / "started.yaml"
    file.write_text(PAGE.format(seed=seed, width=width, start=json.dumps(start)))
    return ticketlab.plan(file, smoke=smoke)


def written(project: Path, content: object, name: str = "w.pth") -> dict[str, str]:
    """The start from a file as torch writes it."""
    torch.save(content, project / name)
    return {"kind": "file", "file": name, "sha256": hashlib.sha256((project / name).read_bytes()).hexdigest()}


def steps_of(experiment: Experiment, kind: type) -> list[Any]:
    return [step for _, step in experiment.plan.steps() if isinstance(step, kind)]


def started(experiment: Experiment) -> Result:
    """The one start of an experiment, performed."""
    (step,) = steps_of(experiment, Start)
    project = experiment.project
    return Executor(project.home, experiment.store, lambda event: None, lambda: False).ensure(step, "ticket")


@pytest.mark.parametrize("names", LAYOUTS)
def test_networks_start_from_the_file_and_keyed_values_where_it_has_none(project: Path, names: str) -> None:
    tensors = theirs()
    experiment = opened(project, {**written(project, LAYOUTS[names](tensors)), "names": names})
    result = started(experiment)
    about = json.loads(result.path("start.json").read_bytes())
    initial = [f"classifier.{name}" for name in tensors if name.startswith(INITIAL[names])] if INITIAL[names] else []
    assert about["initial"] == initial
    assert set(about["given"]) == {f"classifier.{name}" for name in tensors} - set(initial)
    train = steps_of(experiment, Train)[0]
    plain = initial_networks(train.model, train.images, 0, "init")["classifier"].state_dict()
    given = initial_networks(train.model, train.images, 0, "init", result.path("weights.safetensors"))
    for name, value in given["classifier"].state_dict().items():
        expected = plain[name] if f"classifier.{name}" in initial else tensors[name]
        assert torch.equal(value, expected), name


def test_the_whole_run_starts_and_rewinds_to_the_file_and_the_ledger_names_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    start = {**written(project, moco(theirs())), "names": "moco"}
    experiment = opened(project, start)
    outcome = ticketlab.run(experiment)
    assert outcome.failures == []
    (step,) = steps_of(experiment, Start)
    for needing in (*steps_of(experiment, Train), *steps_of(experiment, Draw)):
        fresh = getattr(needing, "initial", "init") == "fresh"
        assert ("pretrained" in needing.inputs) == (not fresh), needing.title
    assert len([train for train in steps_of(experiment, Train) if train.initial == "fresh"]) == 1
    train = steps_of(experiment, Train)[0]
    given = experiment.store.result(step).path("weights.safetensors")
    networks = initial_networks(train.model, train.images, 0, "init", given)
    for draw in steps_of(experiment, Draw):
        _, about, _ = read_ticket(experiment.store.result(draw).path("ticket.safetensors"))
        assert about.initial_weights == content_digest(tensors_of(networks))
    for entry in Chain(project / "ledger.jsonl").entries():
        (named,) = facts(entry.statement).starts
        assert (named.name, named.sha256, named.origin) == ("w.pth", start["sha256"], "a file with the names of moco")
    first = next(iter(Chain(project / "ledger.jsonl").entries()))
    assert verify(first, Project(project)).finding == "IDENTICAL"
    (shown,) = [step for step in estimate(experiment).steps if step.note]
    assert (
        shown.note == f"{len(trained_weights(given))} tensors of w.pth; initial values: classifier.fc.weight, "
        "classifier.fc.bias"
    )


def test_a_head_of_other_classes_is_recorded_and_shown_as_left_out(project: Path) -> None:
    experiment = opened(project, {**written(project, theirs(classes=7)), "names": "torchvision"})
    left = ["classifier.fc.weight", "classifier.fc.bias"]
    assert json.loads(started(experiment).path("start.json").read_bytes())["initial"] == left
    (shown,) = [step for step in estimate(experiment).steps if step.note]
    assert shown.note.endswith(f" tensors of w.pth; initial values: {', '.join(left)}")


def test_one_learning_step_from_the_file_is_near_the_file(project: Path) -> None:
    """At a tiny rate the trained weights are those of the file, not initial ones."""
    tensors = theirs()
    experiment = opened(project, {**written(project, tensors), "names": "torchvision"})
    dense = next(one.plan.final.train for one in experiment.plan.arms() if one.plan.arm == "dense")
    executor = Executor(experiment.project.home, experiment.store, lambda event: None, lambda: False)
    for step in dense.lineage():
        result = executor.ensure(step, "dense")
    trained = trained_weights(result.path("weights.safetensors"))
    assert torch.allclose(trained["classifier.conv1.weight"], tensors["conv1.weight"], atol=0.2)
    assert trained["classifier.conv1.weight"].mean() > 0.5


def test_where_the_file_lies_changes_no_step_and_its_content_changes_all(project: Path) -> None:
    start = {**written(project, theirs()), "names": "torchvision"}
    digests = [step.digest for _, step in opened(project, start).plan.steps()]
    moved = opened(project, {**start, "file": "elsewhere/w.pth"})
    assert [step.digest for _, step in moved.plan.steps()] == digests
    other = opened(project, {**start, "sha256": "0" * 64})
    common = set(digests) & {step.digest for _, step in other.plan.steps()}
    assert {step.kind for _, step in opened(project, start).plan.steps() if step.digest in common} == {"subset"}


def test_seeds_share_the_reading_of_the_file(project: Path) -> None:
    start = {**written(project, theirs()), "names": "torchvision"}
    assert (
        steps_of(opened(project, start), Start)[0].digest == steps_of(opened(project, start, seed=1), Start)[0].digest
    )


def test_safetensors_are_read_too(project: Path) -> None:
    save_file(theirs(), project / "w.safetensors")
    digest = hashlib.sha256((project / "w.safetensors").read_bytes()).hexdigest()
    start = {"kind": "file", "file": "w.safetensors", "sha256": digest, "names": "torchvision"}
    tensors = trained_weights(started(opened(project, start)).path("weights.safetensors"))
    assert torch.equal(tensors["classifier.conv1.weight"], theirs()["conv1.weight"])
    (project / "w.safetensors").write_bytes(b"no")
    start["sha256"] = hashlib.sha256(b"no").hexdigest()
    with pytest.raises(DataError, match="not a safetensors file"):
        started(opened(project, start))


def refused(project: Path, start: dict[str, str], said: str, width: int = 4) -> bool:
    with pytest.raises(DataError, match=said) as caught:
        started(opened(project, start, width=width))
    assert "w.pth" in caught.value.where
    return bool(caught.value.mend)


def test_files_that_are_not_what_was_asked_for_are_refused_in_one_line(project: Path) -> None:
    start = {**written(project, theirs()), "names": "torchvision"}
    assert refused(project, {**start, "names": "moco"}, "not the `moco` weights")
    assert refused(project, start, r"another shape of conv1.weight \(8x3x7x7, in the file 4x3x7x7\)", width=8)
    assert refused(
        project, {**written(project, theirs(channels=1)), "names": "torchvision"}, "another shape of conv1.weight"
    )
    assert refused(project, {**start, "sha256": "a" * 64}, "the sha256 of this file is")
    assert refused(project, {**written(project, {"epoch": 3}), "names": "torchvision"}, "not a file of torch weights")
    (project / "w.pth").unlink()
    assert refused(project, start, "no such file of weights")


def test_a_model_without_a_residual_backbone_refuses_a_start_when_the_spec_is_read(tmp_path: Path) -> None:
    file = tmp_path / "page.yaml"
    for model, said in (
        ("{kind: resnet, start: {kind: torchvision}}", "model.start: `resnet` has no part"),
        ("{kind: imagenet_resnet, depth: 18, start: {kind: torchvision, weights: IMAGENET1K_V2}}", "of depth 18"),
        ("{kind: imagenet_resnet, width: 32, start: {kind: torchvision}}", "width 64, not 32"),
    ):
        file.write_text(
            f"name: x\ndata: {{dataset: cifar10}}\nmodel: {model}\ntrain: {{objective: cross_entropy, steps: 1}}\n"
        )
        with pytest.raises(SpecError, match=said):
            ticketlab.load_spec(file)


def test_weights_of_colour_are_refused_on_gray_images_when_the_spec_is_read(tmp_path: Path) -> None:
    file = tmp_path / "page.yaml"
    moco, clip = (f"{{kind: file, file: w.pth, sha256: '{'0' * 64}', names: {names}}}" for names in ("moco", "clip"))

    def asked(start: str, dataset: str) -> None:
        model = f"{{kind: imagenet_resnet, depth: 18, start: {start}}}"
        train = "{objective: cross_entropy, steps: 1}"
        file.write_text(f"name: x\ndata: {{dataset: {dataset}}}\nmodel: {model}\ntrain: {train}\n")
        ticketlab.load_spec(file)

    for start in (moco, "{kind: torchvision}"):
        with pytest.raises(SpecError, match=r"model\.start: these weights are of images in colour.*mnist are gray"):
            asked(start, "mnist")
        asked(start, "cifar10")
    asked(clip, "mnist")


OWN: dict[str, tuple[dict[str, Any], str]] = {
    "resnet": ({"kind": "resnet", "depth": 8, "width": 4}, "classifier.fc."),
    "lenet": ({"kind": "lenet", "channels": [2, 3], "hidden": [6]}, "classifier.fc."),
    "sngan": ({"kind": "sngan", "width": 4, "critic_width": 4, "latent": 4}, ""),
    "deeplab": ({"kind": "deeplab", "depth": 50, "width": 4, "pyramid": 6, "detail": 3}, "segmenter.classify."),
}
"""Small models, each with what the names of the tensors of its head begin with."""


def own_start(project: Path, model: dict[str, Any], tensors: Mapping[str, Tensor]) -> tuple[Start, Any]:
    """The step that reads a file of the lab's own for a model, in the layout of CIFAR-10, and the model's options."""
    start = {**written(project, dict(tensors)), "names": "ticketlab"}
    options = TypeAdapter(Model).validate_python({**model, "start": start})
    return Start(model=options, channels=3, size=32, classes=10), options


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("classes", [10, 7])
def test_every_model_starts_from_what_a_run_of_it_left_but_for_a_head_of_other_classes(
    project: Path, kind: str, classes: int
) -> None:
    model, head = OWN[kind]
    options = TypeAdapter(Model).validate_python(model)
    left = tensors_of(build(options, ImageShape(3, 32, classes), Key(77)))
    step, _ = own_start(project, model, {**left, **{f"ema.{name}": value + 1 for name, value in left.items()}})
    executor = Executor(lambda name: project, Store(project / "store"), lambda event: None, lambda: False)
    result = executor.ensure(step, "ticket")
    given = trained_weights(result.path("weights.safetensors"))
    other = classes != 10 and head
    assert given.keys() == {name for name in left if not (other and name.startswith(head))}
    assert not other or given.keys() < left.keys(), "the head has tensors"
    assert all(torch.equal(value, left[name]) for name, value in given.items())
    about = json.loads(result.path("start.json").read_bytes())
    assert set(about["initial"]) == left.keys() - given.keys()


def test_own_weights_of_another_model_are_refused_in_one_line(project: Path) -> None:
    options = TypeAdapter(Model).validate_python({"kind": "resnet", "depth": 8, "width": 8})
    wide = tensors_of(build(options, ImageShape(3, 32, 10), Key(77)))
    executor = Executor(lambda name: project, Store(project / "store"), lambda event: None, lambda: False)
    for tensors, said in (
        (wide, "another shape of"),
        ({name: value for name, value in wide.items() if "fc." in name}, "they lack"),
        (theirs(), "they lack"),
        ({**wide, "classifier.fc.weight": torch.tensor(1.0)}, "another shape of"),
    ):
        step, _ = own_start(project, OWN["resnet"][0], tensors)
        with pytest.raises(DataError, match=said) as caught:
            executor.ensure(step, "ticket")
        assert "w.pth" in caught.value.where
        assert caught.value.mend


def test_a_smoke_run_of_a_model_without_a_backbone_starts_from_noise_in_its_layout(project: Path) -> None:
    """Each cell from its own: their models differ."""
    start = {"kind": "file", "file": "gone.safetensors", "sha256": "0" * 64, "names": "ticketlab"}
    (project / "page.yaml").write_text(
        "name: page\ndata: {dataset: noise-like-cifar10, count: 40}\ntrain: {objective: cross_entropy, steps: 2, batch: 4}\n"
        f"model: {{kind: resnet, depth: 8, width: 4, start: {json.dumps(start)}}}\n"
        "compute: {device: cpu, threads: 1}\nmatrix: {model.width: [4, 8]}\n"
    )
    experiment = ticketlab.plan(project / "page.yaml", smoke=True)
    assert ticketlab.run(experiment).failures == []
    for step in steps_of(experiment, Start):
        about = json.loads(experiment.store.result(step).path("start.json").read_bytes())
        assert about["initial"] == ["classifier.fc.weight", "classifier.fc.bias"]


def test_a_smoke_run_says_what_stands_in_for_a_file_that_is_not_here(project: Path) -> None:
    start = {"kind": "file", "file": "data/weights/moco.pth", "sha256": "0" * 64, "names": "moco"}
    events: list[Event] = []
    outcome = ticketlab.run(opened(project, start, smoke=True), listener=events.append)
    assert outcome.failures == []
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any(text.startswith("noise-like-moco.safetensors stands in") for text in told)
    here = {**written(project, theirs()), "names": "torchvision"}
    assert opened(project, here, smoke=True).plan.cells[0].spec.model.start.file == "w.pth"  # type: ignore[union-attr]


def test_torchvisions_files_are_those_that_torchvision_names(tmp_path: Path) -> None:
    theirs = {}
    for depth in (18, 34, 50, 101, 152):
        for weights in getattr(torchvision.models, f"ResNet{depth}_Weights"):
            theirs[weights.name, depth] = weights.url
    wanted = {
        (weights, depth): torchvision_file(TorchvisionWeights(weights=weights), ImagenetResnet(depth=depth), tmp_path)
        for weights, depth in RELEASED
    }
    assert {key: one.url for key, one in wanted.items()} == theirs


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """A host on this machine that has a small file under the name of ResNet-18's weights."""
    content = b"weights of a small network"
    checksum = hashlib.sha256(content).hexdigest()[:8]
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / f"resnet18-{checksum}.pth").write_bytes(content)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "host"))

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setitem(start_options.RELEASED, ("IMAGENET1K_V1", 18), checksum)
    monkeypatch.setattr(start_file, "TORCHVISION", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield content
    server.shutdown()
    server.server_close()


def test_torchvisions_weights_are_downloaded_once_into_torchs_cache_and_checked(
    published: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, options = ImagenetResnet(depth=18), TorchvisionWeights()
    wanted = torchvision_file(options, model, tmp_path)
    assert wanted.at_hand() is None
    path, digest = wanted.checked()
    assert path == tmp_path / "torch" / "hub" / "checkpoints" / wanted.name
    assert (path.read_bytes(), digest) == (published, hashlib.sha256(published).hexdigest())
    monkeypatch.setattr(start_file, "TORCHVISION", "http://127.0.0.1:9")
    assert torchvision_file(options, model, tmp_path).checked() == (path, digest)
    path.write_bytes(b"half of")
    with pytest.raises(DataError, match="sha256 of this file"):
        torchvision_file(options, model, tmp_path).checked()
    path.unlink()
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        torchvision_file(options, model, tmp_path).checked()
    assert "data/weights/" in caught.value.mend
    mine = tmp_path / "data" / "weights" / wanted.name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(published)
    assert torchvision_file(options, model, tmp_path).checked() == (mine, digest)


def test_a_download_that_is_another_file_is_not_kept(published: bytes, tmp_path: Path) -> None:
    options, model = TorchvisionWeights(), ImagenetResnet(depth=18)
    wanted = torchvision_file(options, model, tmp_path)
    on_the_host = tmp_path / "host" / wanted.name
    on_the_host.write_bytes(b"<html>log in first</html>")
    with pytest.raises(DataError, match="sha256 of this file") as caught:
        wanted.checked()
    assert caught.value.where == wanted.url
    on_the_host.write_bytes(published)
    assert wanted.checked()[0].read_bytes() == published


def test_stand_ins_lie_outside_data_so_that_real_files_beside_them_are_found(project: Path) -> None:
    start = {"kind": "file", "file": "missing.pth", "sha256": "0" * 64, "names": "torchvision"}
    opened(project, start, smoke=True)
    smoke = Project(project, smoke=True)
    assert smoke.home(start_file.WEIGHTS) == project
