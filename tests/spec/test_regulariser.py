"""What is added to GAN losses is one list however it is written, and is refused where it cannot work."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal

import pytest

from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.identity import identity
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.model import Sngan
from ticketlab.spec.optimizer import Adam
from ticketlab.spec.regulariser import AdversarialFeatures, RegulariserChoice
from ticketlab.spec.resolve import resolve
from ticketlab.spec.spec import Spec
from ticketlab.spec.train import Hinge


def spec(**train: Any) -> Spec:
    page = {
        "name": "demo",
        "data": {"dataset": "cifar10"},
        "model": {"kind": "sngan"},
        "train": {"objective": "hinge", "steps": 100, **train},
    }
    return Spec.model_validate_json(json.dumps(page), strict=True)


def resolved(page: Spec) -> Spec:
    return resolve(page, KNOWN["cifar10"])


class Free(RegulariserChoice):
    """A term that takes no further passes, as a package may bring one."""

    kind: Literal["free"] = "free"


def test_a_term_takes_no_passes_unless_it_says_so() -> None:
    assert dict(Free().forwards(Hinge(steps=1))) == {}


SHORT = {"gamma": 0.02, "steps": 3, "on": ["critic"]}


def test_the_short_form_is_an_entry_of_the_list() -> None:
    short = resolved(spec(adversarial_features=SHORT))
    listed = resolved(spec(regularisers=[{"kind": "adversarial_features", **SHORT}]))
    assert short == listed
    assert identity(short) == identity(listed)
    assert short.train.regularisers == (AdversarialFeatures(gamma=0.02, steps=3, on=("critic",)),)  # type: ignore[attr-defined]
    assert resolved(short) == short
    assert resolved(spec(regularisers=["adversarial_features"])) == resolved(spec(adversarial_features={}))


@pytest.mark.parametrize("objective", ["hinge", "non_saturating"])
def test_any_adversarial_objective_takes_it(objective: str) -> None:
    found = resolved(spec(objective=objective, adversarial_features={})).train
    assert found.regularisers == (AdversarialFeatures(),)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("train", "at"),
    [
        (
            {"adversarial_features": {}, "regularisers": ["adversarial_features"]},
            ("train", "adversarial_features"),
        ),
        ({"regularisers": [{"kind": "adversarial_features"}] * 2}, ("train", "regularisers", 1)),
        ({"adversarial_features": {"on": ["critic", "critic"]}}, ("train", "adversarial_features", "on")),
    ],
)
def test_what_is_said_twice_is_refused(train: dict[str, Any], at: tuple[str | int, ...]) -> None:
    with pytest.raises(Impossible, match="twice") as caught:
        resolved(spec(**train))
    assert caught.value.path == at


class Whole(Sngan):
    """A GAN whose critic alone can be taken apart."""

    parts: ClassVar[frozenset[str]] = frozenset({"critic.features", "critic.head"})


class Criticless(Sngan):
    """A generator alone."""

    networks: ClassVar[tuple[str, ...]] = ("generator",)


def test_a_model_without_the_parts_is_refused_unless_they_are_not_needed() -> None:
    page = spec(adversarial_features={}).model_copy(update={"model": Whole()})
    with pytest.raises(Impossible, match="the grow of the generator") as caught:
        resolved(page)
    assert caught.value.path == ("train", "adversarial_features")
    assert caught.value.mend
    of_the_critic = spec(adversarial_features={"on": ["critic"]}).model_copy(update={"model": Whole()})
    assert resolved(of_the_critic).train.regularisers  # type: ignore[attr-defined]


def test_an_objective_refuses_a_model_without_the_networks_it_trains() -> None:
    page = spec().model_copy(update={"model": Criticless()})
    with pytest.raises(Impossible, match="has no critic") as caught:
        resolved(page)
    assert caught.value.path == ("train", "objective")


def test_the_estimate_counts_the_images_of_both_players() -> None:
    game = Hinge(steps=1, critic_optimizer=Adam(), batch=8, generator_batch=4, n_critic=5)
    # Forward 1, with a backward 3. Five critic updates on 8 real and 8 made images each, one generator update on 4.
    assert game.forwards(("generator", "critic")) == {"generator": 5 * 8 + 3 * 4, "critic": 5 * 3 * (8 + 8) + 3 * 4}


def test_the_estimate_counts_what_is_added() -> None:
    plain = Hinge(steps=1, critic_optimizer=Adam(), batch=2, generator_batch=10, n_critic=1)
    three = plain.model_copy(update={"regularisers": (AdversarialFeatures(steps=3),)})
    before, after = plain.forwards(("generator", "critic")), three.forwards(("generator", "critic"))
    # Three searches of a forward and an input gradient, one branch with a full backward.
    assert {name: after[name] - before[name] for name in before} == {"generator": 90, "critic": 90}
    critic = plain.model_copy(update={"regularisers": (AdversarialFeatures(on=("critic",)),)})
    assert critic.forwards(("generator", "critic")) == before
