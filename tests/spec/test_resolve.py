"""What a spec leaves open is filled in by the field's conventions; what makes no sense together is refused where it stands."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from ticketlab.spec.arm import Dense
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.drawing import SMOKE_ROUNDS
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.metric import Accuracy, Frechet, Kernel, Loss, MeanIou, PixelAccuracy, Prdc
from ticketlab.spec.model import Sngan
from ticketlab.spec.resolve import resolve
from ticketlab.spec.section import SMOKE_STEPS
from ticketlab.spec.smoke import IMAGES, SIDE, smoke
from ticketlab.spec.spec import Spec
from ticketlab.spec.train import SMOKE_BATCH

GAN = {
    "data": {"dataset": "cifar10"},
    "model": {"kind": "sngan"},
    "train": {"objective": "hinge", "steps": 100},
}
CLASSIFIER = {
    "data": {"dataset": "fashion-mnist"},
    "model": {"kind": "lenet"},
    "train": {"objective": "cross_entropy", "steps": 100},
}
SEGMENTER = {
    "data": {"dataset": "voc2012"},
    "model": {"kind": "deeplab"},
    "train": {"objective": "pixel_cross_entropy", "steps": 100},
}
MOMENTS = {
    "data": {"dataset": "cifar10"},
    "model": {"kind": "sngan"},
    "train": {"objective": "moment_matching", "steps": 100},
}
TWO_OF_FOUR = {"kind": "n_of_m", "n": 2, "m": 4}
NESTEROV = {"kind": "sgd", "momentum": 0, "nesterov": True}
DRAWN = {"method": "magnitude", "schedule": {"rate": 0.5}}
TWICE = {"method": "magnitude", "schedule": {"rounds": 2, "rate": 0.5}}


def spec(page: dict[str, Any], **sections: Any) -> Spec:
    """The page with keys of its sections replaced: `train={"steps": 3}`."""
    merged: dict[str, Any] = {"name": "x", **page}
    for name, section in sections.items():
        merged[name] = {**merged.get(name, {}), **section} if isinstance(section, dict) else section
    return Spec.model_validate_json(json.dumps(merged), strict=True)


def resolved(page: dict[str, Any], **sections: Any) -> Spec:
    asked = spec(page, **sections)
    return resolve(asked, KNOWN[asked.data.dataset])


def test_a_gan_is_resolved_as_the_papers_do() -> None:
    found = resolved(GAN, ticket=DRAWN)
    assert (found.data.size, found.data.scaling) == (32, "symmetric")
    assert found.evaluate.metrics == (Frechet(), Prdc())
    assert found.evaluate.split == "train"
    assert found.train.critic_optimizer == found.train.optimizer  # type: ignore[attr-defined]
    assert found.ticket.networks == ("generator",)  # type: ignore[attr-defined]
    assert found.ticket.layers == ("conv",)  # type: ignore[attr-defined]
    assert found.ticket.round_steps == 100  # type: ignore[attr-defined]


def test_a_classifier_is_resolved_as_the_papers_do() -> None:
    found = resolved(CLASSIFIER, ticket=DRAWN)
    assert (found.data.size, found.data.scaling) == (28, "standard")
    assert found.evaluate.metrics == (Accuracy(), Loss())
    assert found.evaluate.split == "test"
    assert found.ticket.networks == ("classifier",)  # type: ignore[attr-defined]
    assert found.ticket.layers == ("conv", "linear")  # type: ignore[attr-defined]


def nulls(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {one for key, part in value.items() for one in nulls(part, f"{path}.{key}".lstrip("."))}
    return {path} if value is None else set()


@pytest.mark.parametrize("page", [GAN, CLASSIFIER])
def test_only_what_means_nothing_itself_is_left_null(page: dict[str, Any]) -> None:
    left = nulls(resolved(page, ticket=DRAWN).asks())
    assert left == {
        *({"train.adversarial_features"} if page is GAN else ()),
        "compute.workers",
        "data.classes",
        "data.ratio",
        "data.count",
        *({"model.head"} if page is CLASSIFIER else ()),
        "model.init",
        "model.start",
        "evaluate.every",
        "evaluate.extractor.model.head",
        "evaluate.extractor.model.init",
        "evaluate.extractor.model.start",
        "compute.threads",
        "ticket.schedule.density",
    }


@pytest.mark.parametrize("page", [GAN, CLASSIFIER])
@pytest.mark.parametrize(
    "schedule", [{"rate": 0.5}, {"rate": {"conv": 0.2}}, {"density": {"conv": 0.1, "linear": 0.1}}]
)
def test_resolving_again_changes_nothing(page: dict[str, Any], schedule: dict[str, Any]) -> None:
    once = resolved(page, ticket={"method": "magnitude", "schedule": schedule})
    assert resolve(once, KNOWN[once.data.dataset]) == once


@pytest.mark.parametrize("ticket", ["regenerative", {"method": "regenerative", "every": 20}])
def test_a_ticket_that_listens_hears_the_first_metric_that_falls(ticket: Any) -> None:
    found = resolved(GAN, ticket=ticket, evaluate={"metrics": ["prdc", "kernel", "frechet"]})
    assert found.ticket.judge == Kernel()  # type: ignore[attr-defined]
    asked = resolved(GAN, ticket={"method": "regenerative", "every": 20, "judge": "frechet"}, evaluate={"every": 20})
    assert asked.ticket.judge == Frechet()  # type: ignore[attr-defined]


def test_a_search_and_an_objective_that_matches_moments_are_resolved_inside_too() -> None:
    search = {"objective": "moment_matching", "steps": 7}
    page = {**MOMENTS, "evaluate": {"extractor": {"kind": "random_conv", "seed": 5}}}
    found = resolved(page, ticket={"method": "edge_popup", "density": 0.5, "search": search})
    for settled in (found.train, found.ticket.search):  # type: ignore[attr-defined]
        assert settled == settled.settled(found, ("train",))
        assert (settled.optimizer.lr, settled.averages.lr) == (5e-5, 1e-5)
    assert found.ticket.search.steps == 7  # type: ignore[attr-defined]


def test_what_is_written_is_kept() -> None:
    found = resolved(
        GAN,
        data={"size": 48, "scaling": "symmetric"},
        ticket={**DRAWN, "networks": ["critic"], "layers": ["linear"], "round_steps": 7},
        train={"critic_optimizer": {"kind": "sgd"}},
        evaluate={"metrics": ["kernel"], "split": "test"},
    )
    assert found.data.size == 48
    assert found.evaluate.metrics == (Kernel(),)
    assert found.evaluate.split == "test"
    assert found.train.critic_optimizer.kind == "sgd"  # type: ignore[attr-defined]
    assert (found.ticket.networks, found.ticket.layers) == (("critic",), ("linear",))  # type: ignore[attr-defined]
    assert found.ticket.round_steps == 7  # type: ignore[attr-defined]


def test_kinds_of_layer_named_by_the_schedule_are_those_that_are_pruned() -> None:
    found = resolved(CLASSIFIER, ticket={"method": "magnitude", "schedule": {"rate": {"linear": 0.2}}})
    assert found.ticket.layers == ("linear",)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ticket", "last"),
    [
        (DRAWN, "pruned"),
        ({**DRAWN, "last_layer": "dense"}, "dense"),
        ({**DRAWN, "structure": "channels"}, "dense"),
        ({"method": "edge_popup", "density": 0.5}, "pruned"),
    ],
)
def test_the_layer_of_the_outputs_is_pruned_but_not_by_whole_outputs(ticket: dict[str, Any], last: str) -> None:
    found = resolved(CLASSIFIER, ticket=ticket)
    assert found.ticket.last_layer == last  # type: ignore[attr-defined]
    assert resolve(found, KNOWN["fashion-mnist"]) == found


@pytest.mark.parametrize("ticket", [{"method": "edge_popup", "density": 0.5}, {"method": "regenerative", "every": 20}])
def test_a_training_that_makes_a_mask_moves_what_it_lies_over(ticket: dict[str, Any]) -> None:
    with pytest.raises(Impossible, match="no mask over it") as refused:
        resolved(CLASSIFIER, ticket=ticket, train={"last_layer": "frozen"})
    assert (refused.value.path, refused.value.mend) == (("ticket", "last_layer"), "last_layer: dense")
    assert resolved(CLASSIFIER, ticket={**ticket, "last_layer": "dense"}, train={"last_layer": "frozen"})
    with pytest.raises(Impossible, match="has no steps") as refused:
        resolved(CLASSIFIER, ticket=ticket, train={"steps": 0})
    assert refused.value.path == ("train", "steps")
    search = {"objective": "squared_error", "steps": 0}
    with pytest.raises(Impossible, match="has no steps") as refused:
        resolved(CLASSIFIER, ticket={**ticket, "search": search})
    assert refused.value.path == ("ticket", "search", "steps")
    found = resolved(CLASSIFIER, ticket={**ticket, "search": {**search, "steps": 2}}, train={"steps": 0})
    assert found.train.steps == 0


def test_n_of_m_inputs_are_one_round_to_their_share() -> None:
    for n, m, density in ((2, 4, 0.5), (1, 3, 0.333)):
        ticket = {"method": "magnitude", "schedule": {"density": density}, "structure": {**TWO_OF_FOUR, "n": n, "m": m}}
        assert resolved(CLASSIFIER, ticket=ticket).ticket.structure.n == n  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "rounds", "found"),
    [
        ([9], 3, 9),
        ([9, 9, 9], 3, 9),
        ([9, 4], 1, 9),
        ([9, 4, 4, 4], 9, (9, 4)),
        ([4, 9, 4], 3, (4, 9, 4)),
        ([4, 4, 9], 2, 4),
        ([100, 50], 4, (100, 50)),
    ],
)
def test_lengths_of_rounds_are_resolved_to_the_shortest_list(written: list[int], rounds: int, found: Any) -> None:
    ticket = {"method": "magnitude", "schedule": {"rounds": rounds, "rate": 0.2}, "round_steps": written}
    page = resolved(CLASSIFIER, ticket=ticket)
    assert page.ticket.round_steps == found  # type: ignore[attr-defined]
    assert Spec.model_validate_json(json.dumps(page.asks()), strict=True) == page
    assert tiny(page).ticket.round_steps == SMOKE_STEPS  # type: ignore[attr-defined]


@pytest.mark.parametrize("steps", [[], [5, 0], -1, [5, "5"]])
def test_rounds_of_no_length_are_refused(steps: Any) -> None:
    with pytest.raises(ValidationError):
        spec(CLASSIFIER, ticket={**DRAWN, "round_steps": steps})


def test_random_pruning_needs_no_training_before_it() -> None:
    found = resolved(CLASSIFIER, ticket={"method": "random", "schedule": {"rate": 0.5}})
    assert found.ticket.round_steps == 0  # type: ignore[attr-defined]


def test_without_a_ticket_the_dense_network_is_the_only_arm() -> None:
    assert resolved(CLASSIFIER).arms == (Dense(),)
    assert resolved(CLASSIFIER, arms=["dense", "ticket"]).arms == (Dense(),)


def test_a_segmenter_is_resolved_as_the_papers_do() -> None:
    found = resolved(SEGMENTER, ticket=DRAWN)
    assert (found.data.size, found.data.scaling) == (513, "standard")
    assert found.evaluate.metrics == (MeanIou(), PixelAccuracy(), Loss())
    assert found.evaluate.split == "test"
    assert found.ticket.networks == ("segmenter",)  # type: ignore[attr-defined]
    assert Spec.model_validate_json(json.dumps(found.asks()), strict=True) == found


def test_labels_of_another_kind_are_refused_with_the_datasets_that_have_the_right_ones() -> None:
    with pytest.raises(Impossible, match="learns from a class for each image, and voc2012 has a map") as caught:
        resolved(CLASSIFIER, data={"dataset": "voc2012"})
    assert "cifar10" in caught.value.mend
    assert "voc2012" not in caught.value.mend
    with pytest.raises(Impossible, match="learns from a map for each image, and cifar10 has a class") as caught:
        resolved(SEGMENTER, data={"dataset": "cifar10"})
    assert caught.value.mend == "voc2012"


def test_generators_learn_from_images_whatever_their_labels_are() -> None:
    """But features of a classifier need classes."""
    random = {"extractor": {"kind": "random_conv"}}
    assert resolved(GAN, data={"dataset": "voc2012", "size": 32}, evaluate=random).data.size == 32


def tiny(asked: Spec) -> Spec:
    return smoke(asked, KNOWN[asked.data.dataset])


def test_smoke_images_are_small_where_the_model_takes_any_size() -> None:
    assert tiny(resolved(SEGMENTER)).data.size == SIDE
    vgg = resolved(CLASSIFIER, data={"dataset": "tiny-imagenet"}, model={"kind": "tiny_vgg"})
    assert tiny(vgg).data.size == 64
    padded = resolved(CLASSIFIER, data={"size": 40, "fit": "pad"})
    assert tiny(padded).data.size == 40


REFUSED: list[tuple[dict[str, Any], dict[str, Any], tuple[str | int, ...]]] = [
    (GAN, {"train": {"objective": "cross_entropy"}}, ("train", "objective")),
    (CLASSIFIER, {"train": {"objective": "hinge"}}, ("train", "objective")),
    (CLASSIFIER, {"model": {"kind": "resnet", "depth": 21}}, ("model", "depth")),
    (CLASSIFIER, {"data": {"ratio": 0.5, "count": 5}}, ("data", "count")),
    (CLASSIFIER, {"data": {"count": 60_001}}, ("data", "count")),
    (CLASSIFIER, {"data": {"ratio": 0.00001}}, ("data", "ratio")),
    (GAN, {"data": {"size": 40}}, ("data", "size")),
    (GAN, {"data": {"dataset": "fashion-mnist"}}, ("data",)),
    (CLASSIFIER, {"data": {"size": 20, "fit": "pad"}}, ("data", "fit")),
    (GAN, {"data": {"scaling": "standard"}}, ("data", "scaling")),
    (CLASSIFIER, {"train": {"warmup": 100}}, ("train", "warmup")),
    (
        CLASSIFIER,
        {"train": {"rate_schedule": {"kind": "milestones", "at": [0.7, 0.5]}}},
        ("train", "rate_schedule", "at"),
    ),
    (
        CLASSIFIER,
        {"train": {"optimizer": {"kind": "sgd", "momentum": 0, "nesterov": True}}},
        ("train", "optimizer", "nesterov"),
    ),
    (
        GAN,
        {"train": {"critic_optimizer": {"kind": "sgd", "momentum": 0, "nesterov": True}}},
        ("train", "critic_optimizer", "nesterov"),
    ),
    (GAN, {"evaluate": {"metrics": ["frechet", "accuracy"]}}, ("evaluate", "metrics", 1)),
    (CLASSIFIER, {"evaluate": {"metrics": ["frechet"]}}, ("evaluate", "metrics", 0)),
    (GAN, {"evaluate": {"metrics": ["frechet", {"kind": "frechet"}]}}, ("evaluate", "metrics", 1)),
    (GAN, {"evaluate": {"samples": 5}}, ("evaluate", "samples")),
    (GAN, {"evaluate": {"samples": 9, "metrics": [{"kind": "prdc", "neighbours": 9}]}}, ("evaluate", "samples")),
    (
        GAN,
        {"evaluate": {"extractor": {"kind": "lab_classifier", "model": {"kind": "sngan"}}}},
        ("evaluate", "extractor", "model"),
    ),
    (CLASSIFIER, {"evaluate": {"every": 101}}, ("evaluate", "every")),
    (CLASSIFIER, {"data": {"dataset": "voc2012"}}, ("data", "dataset")),
    (SEGMENTER, {"data": {"dataset": "cifar10"}}, ("data", "dataset")),
    (SEGMENTER, {"train": {"objective": "cross_entropy"}}, ("train", "objective")),
    (SEGMENTER, {"train": {"batch": 1}}, ("train", "batch")),
    (SEGMENTER, {"evaluate": {"metrics": ["accuracy"]}}, ("evaluate", "metrics", 0)),
    (CLASSIFIER, {"evaluate": {"metrics": ["mean_iou"]}}, ("evaluate", "metrics", 0)),
    (GAN, {"data": {"dataset": "voc2012", "size": 32}}, ("evaluate", "extractor")),
    (CLASSIFIER, {"arms": ["dense", "random"]}, ("arms",)),
    (CLASSIFIER, {"ticket": DRAWN, "arms": ["ticket", "ticket"]}, ("arms",)),
    (CLASSIFIER, {"ticket": {**DRAWN, "networks": ["classifier", "critic"]}}, ("ticket", "networks", 1)),
    (
        CLASSIFIER,
        {"ticket": {"method": "magnitude", "schedule": {"rate": {"conv": 0.2}}, "layers": ["linear"]}},
        ("ticket", "layers"),
    ),
    (CLASSIFIER, {"ticket": {"method": "magnitude", "schedule": {"density": {}}}}, ("ticket", "schedule", "density")),
    (CLASSIFIER, {"model": {"kind": "mlp"}, "ticket": {**DRAWN, "layers": ["conv"]}}, ("ticket", "layers")),
    (SEGMENTER, {"ticket": {**DRAWN, "layers": ["linear"]}}, ("ticket", "layers")),
    (
        CLASSIFIER,
        {"model": {"kind": "mlp"}, "ticket": {"method": "magnitude", "schedule": {"density": {"conv": 0.5}}}},
        ("ticket", "schedule"),
    ),
    (CLASSIFIER, {"ticket": {**DRAWN, "structure": "channels", "last_layer": "pruned"}}, ("ticket", "last_layer")),
    (CLASSIFIER, {"ticket": {**DRAWN, "rewind": {"step": 100}}}, ("ticket", "rewind", "step")),
    (CLASSIFIER, {"ticket": {**DRAWN, "rewind": {"step": 50}, "round_steps": 50}}, ("ticket", "rewind", "step")),
    (CLASSIFIER, {"ticket": {**TWICE, "rewind": {"step": 7}, "round_steps": [50, 7]}}, ("ticket", "rewind", "step")),
    (CLASSIFIER, {"ticket": {**DRAWN, "rank": "ema"}}, ("ticket", "rank")),
    (
        CLASSIFIER,
        {"ticket": {"method": "magnitude", "schedule": {"density": 0.4}, "structure": TWO_OF_FOUR}},
        ("ticket", "schedule"),
    ),
    (
        CLASSIFIER,
        {"ticket": {"method": "magnitude", "schedule": {"rate": 0.2, "rounds": 2}, "structure": "percentile"}},
        ("ticket", "schedule", "rate"),
    ),
    (
        CLASSIFIER,
        {"ticket": {"method": "magnitude", "schedule": {"density": 0.5, "rounds": 2}, "structure": TWO_OF_FOUR}},
        ("ticket", "schedule"),
    ),
    (MOMENTS, {"train": {"augment": [{"kind": "flip"}]}}, ("train", "augment")),
    (MOMENTS, {"evaluate": {"extractor": "random_conv"}}, ("train", "extractor")),
    (
        MOMENTS,
        {"evaluate": {"extractor": {"kind": "lab_classifier", "model": {"kind": "sngan"}}}},
        ("evaluate", "extractor", "model"),
    ),
    (MOMENTS, {"train": {"optimizer": NESTEROV}}, ("train", "optimizer", "nesterov")),
    (
        CLASSIFIER,
        {"ticket": {"method": "ntk_sap", "schedule": {"density": 0.5}, "probe": {"drawn": "per_pass"}}},
        ("ticket", "probe", "drawn"),
    ),
    (
        CLASSIFIER,
        {"ticket": {"method": "edge_popup", "density": 0.5, "search": GAN["train"]}},
        ("ticket", "search", "objective"),
    ),
    (
        CLASSIFIER,
        {"ticket": {"method": "edge_popup", "density": 0.5, "search": {**CLASSIFIER["train"], "warmup": 100}}},
        ("ticket", "search", "warmup"),
    ),
    (
        CLASSIFIER,
        {"ticket": {"method": "edge_popup", "density": 0.5, "optimizer": NESTEROV}},
        ("ticket", "optimizer", "nesterov"),
    ),
    (GAN, {"ticket": {"method": "edge_popup", "density": 0.5}}, ("train", "ema")),
    (GAN, {"ticket": {"method": "edge_popup", "density": 0.5, "search": GAN["train"]}}, ("ticket", "search", "ema")),
    (MOMENTS, {"ticket": {"method": "edge_popup", "density": 0.5, "networks": ["critic"]}}, ("ticket", "networks", 0)),
    (SEGMENTER, {"ticket": {"method": "edge_popup", "density": 0.5, "layers": ["linear"]}}, ("ticket", "layers")),
    (GAN, {"ticket": {"method": "regenerative", "every": 20}, "evaluate": {"every": 50}}, ("evaluate", "every")),
    (GAN, {"ticket": {"method": "regenerative", "judge": "kernel"}}, ("ticket", "judge")),
    (GAN, {"ticket": {"method": "regenerative", "judge": "prdc"}}, ("ticket", "judge")),
    (GAN, {"ticket": {"method": "regenerative"}, "evaluate": {"metrics": ["prdc"]}}, ("evaluate", "metrics")),
]


@pytest.mark.parametrize(
    ("page", "sections", "path"),
    REFUSED,
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_makes_no_sense_is_refused_at_its_place_with_a_mend(
    page: dict[str, Any], sections: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    with pytest.raises(Impossible) as caught:
        resolved(page, **sections)
    assert caught.value.path == path
    assert caught.value.mend


class GeneratorAlone(Sngan):
    """A model without a critic, as a package may bring one."""

    networks: ClassVar[tuple[str, ...]] = ("generator",)


def test_an_objective_is_refused_for_a_model_without_what_it_trains() -> None:
    alone = spec(GAN).model_copy(update={"model": GeneratorAlone()})
    with pytest.raises(Impossible, match="trains the generator and the critic, and `sngan` has no critic") as caught:
        resolve(alone, KNOWN["cifar10"])
    assert caught.value.path == ("train", "objective")
    moments = spec(MOMENTS).model_copy(update={"model": GeneratorAlone()})
    assert resolve(moments, KNOWN["cifar10"]).model.networks == ("generator",)


def test_two_samples_are_enough_for_a_kernel_distance() -> None:
    assert resolved(GAN, evaluate={"metrics": ["kernel"], "samples": 2}).evaluate.samples == 2


@pytest.mark.parametrize(("metric", "fewest"), [({"kind": "prdc", "neighbours": 3}, 4), ({"kind": "prdc"}, 6)])
def test_a_metric_is_refused_with_one_sample_too_few(metric: dict[str, Any], fewest: int) -> None:
    assert resolved(GAN, evaluate={"metrics": [metric], "samples": fewest}).evaluate.samples == fewest
    with pytest.raises(Impossible) as caught:
        resolved(GAN, evaluate={"metrics": [metric], "samples": fewest - 1})
    assert caught.value.path == ("evaluate", "samples")
    assert caught.value.mend == f"samples: {fewest}"


@pytest.mark.parametrize("page", [GAN, CLASSIFIER])
def test_a_smoke_spec_is_tiny_and_resolves_to_itself(page: dict[str, Any]) -> None:
    asked = resolved(
        page,
        ticket={**DRAWN, "schedule": {"rounds": 3, "rate": 0.2}, "rewind": {"step": 30}},
        train={"warmup": 10, "batch": 512},
        evaluate={"every": 50},
        data={"ratio": 0.5},
    )
    assert asked.compute.log_every > 1
    dataset = KNOWN[asked.data.dataset]
    found = smoke(asked, dataset)
    assert (found.train.steps, found.train.warmup, found.train.batch) == (SMOKE_STEPS, 1, SMOKE_BATCH)
    assert (found.data.count, found.data.ratio) == (IMAGES, None)
    assert (found.ticket.round_steps, found.ticket.schedule.rounds) == (SMOKE_STEPS, SMOKE_ROUNDS)  # type: ignore[attr-defined]
    assert found.ticket.rewind.step == 1  # type: ignore[attr-defined]
    assert (found.evaluate.every, found.compute.log_every) == (1, 1)
    if page is GAN:
        assert (found.train.generator_batch, found.train.n_critic) == (SMOKE_BATCH, 2)  # type: ignore[attr-defined]
    assert all(found.evaluate.samples >= metric.fewest_samples for metric in found.evaluate.metrics or ())
    assert found.model == asked.model
    assert found.arms == asked.arms
    assert resolve(found, dataset) == found
    assert Spec.model_validate_json(json.dumps(found.asks()), strict=True) == found


def test_cells_that_differ_in_seed_or_share_of_the_data_are_smoked_once() -> None:
    cells = [resolved(CLASSIFIER, seed=seed, data={"ratio": ratio}) for seed, ratio in ((1, 0.1), (2, 0.5))]
    assert tiny(cells[0]) == tiny(cells[1])


def test_a_smoke_spec_asks_for_an_image_of_every_class() -> None:
    asked = resolved({**CLASSIFIER, "data": {"dataset": "cifar100"}, "model": {"kind": "resnet"}})
    assert tiny(asked).data.count == 100


def test_a_smoke_spec_asks_for_no_more_images_than_there_are() -> None:
    few = replace(KNOWN["cifar10"], train=40)
    assert smoke(resolved(CLASSIFIER), few).data.count == 40


def test_a_smoke_spec_draws_where_the_spec_draws() -> None:
    at_initialisation = resolved(CLASSIFIER, ticket={**DRAWN, "round_steps": 0})
    assert tiny(at_initialisation).ticket.round_steps == 0  # type: ignore[attr-defined]
    dense = tiny(resolved(CLASSIFIER))
    assert (dense.ticket.method, dense.arms) == ("none", (Dense(),))  # type: ignore[attr-defined]


def test_a_smoke_spec_scores_one_image_of_each_class_and_listens_after_each_step() -> None:
    probing = {"method": "ntk_sap", "schedule": {"density": 0.5}, "draws": 7, "probe": {"per_class": 3}}
    scored: Any = tiny(resolved(CLASSIFIER, ticket=probing)).ticket
    assert (scored.draws, scored.probe.per_class) == (1, 1)
    listening = resolved(GAN, ticket={"method": "regenerative", "every": 50})
    assert tiny(listening).ticket.every == 1  # type: ignore[attr-defined]


def test_a_smoke_spec_with_many_neighbours_generates_enough() -> None:
    asked = resolved(GAN, evaluate={"metrics": [{"kind": "prdc", "neighbours": 100}], "samples": 5000})
    assert tiny(asked).evaluate.samples == 101


SNIP = {"method": "snip", "schedule": {"density": 0.1}}


@pytest.mark.parametrize("data", [{"count": 100}, {"ratio": 0.002}, {"count": 100, "subset": "uniform"}])
def test_a_probe_set_that_the_kept_images_can_just_fill_is_accepted(data: dict[str, Any]) -> None:
    found = resolved(CLASSIFIER, data=data, ticket={**SNIP, "probe": {"per_class": 10}})
    assert found.ticket.probe.per_class == 10  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "mend"),
    [
        ({"count": 99}, "per_class: 9"),
        ({"ratio": 0.0009}, "per_class: 5"),
        ({"count": 99, "subset": "first"}, "per_class: 9"),
        ({"count": 9}, "keep at least 10 images"),
    ],
)
def test_a_probe_set_larger_than_the_kept_images_is_refused_where_it_stands(data: dict[str, Any], mend: str) -> None:
    with pytest.raises(Impossible, match="10 images of each of 10 classes are asked of") as caught:
        resolved(CLASSIFIER, data=data, ticket=SNIP)
    assert caught.value.path == ("ticket", "probe", "per_class")
    assert caught.value.mend == mend


def test_scores_that_look_at_no_image_need_none() -> None:
    for method in ("synflow", "random"):
        assert resolved(CLASSIFIER, data={"count": 1}, ticket={**SNIP, "method": method}).data.count == 1
