"""Scores are asked of the method that the options name, and what comes back is checked."""

import math
from typing import ClassVar

import pytest
import torch

from ticketlab.errors import Diverged, TicketlabError
from ticketlab.randomness import Key
from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.ticket import Magnitude, Random
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scoring import score
from ticketlab.tickets.subject import Subject

WEIGHTS = {"net.b": torch.tensor([[-2.0, 1.0]], requires_grad=True), "net.a": torch.tensor([0.5])}
SUBJECT = Subject(WEIGHTS, Mask.dense({"net.b": (1, 2), "net.a": (1,)}), Key(0))
ANSWERS: dict[str, dict[str, torch.Tensor]] = {}


def canned(options: "Canned", subject: Subject) -> dict[str, torch.Tensor]:
    return ANSWERS["now"]


class Canned(Drawn):
    made_by: ClassVar[str] = f"{__name__}:canned"
    about: ClassVar[str] = "whatever the test says"


def ask(made_by: str = Canned.made_by) -> dict[str, torch.Tensor]:
    options = type("Named", (Canned,), {"made_by": made_by, "__module__": __name__})(schedule=Schedule(rate=0.2))
    return score(options, SUBJECT)


def test_magnitude_is_the_absolute_value_in_the_order_of_the_weights() -> None:
    scores = score(Magnitude(schedule=Schedule(rate=0.2)), SUBJECT)
    assert {name: values.tolist() for name, values in scores.items()} == {"net.b": [[2.0, 1.0]], "net.a": [0.5]}
    assert list(scores) == ["net.b", "net.a"]
    assert not any(values.requires_grad for values in scores.values())


def test_random_has_the_shapes_of_the_weights() -> None:
    scores = score(Random(schedule=Schedule(rate=0.2)), SUBJECT)
    assert {name: tuple(values.shape) for name, values in scores.items()} == {"net.b": (1, 2), "net.a": (1,)}


def test_the_order_is_that_of_the_weights_not_of_the_answer() -> None:
    ANSWERS["now"] = {"net.a": torch.zeros(1), "net.b": torch.tensor([[0.0, 1.0]])}
    assert list(ask()) == ["net.b", "net.a"]


def test_scores_that_tell_no_weight_from_the_others_of_its_layer_are_refused() -> None:
    ANSWERS["now"] = {"net.a": torch.ones(1), "net.b": torch.zeros(1, 2)}
    with pytest.raises(TicketlabError, match="all scores within each layer of the net are equal"):
        ask()


def test_a_network_that_is_cut_through_already_is_pruned_further() -> None:
    cut = Mask({"net.b": torch.tensor([[True, True]]), "net.a": torch.tensor([False])})
    ANSWERS["now"] = {"net.a": torch.zeros(1), "net.b": torch.zeros(1, 2)}
    assert list(score(Canned(schedule=Schedule(rate=0.2)), Subject(WEIGHTS, cut, Key(0)))) == ["net.b", "net.a"]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"net.b": torch.zeros(1, 2)}, r"net\.a"),
        ({"net.b": torch.zeros(1, 2), "net.a": torch.zeros(1), "net.c": torch.zeros(1)}, r"net\.c"),
        ({"net.b": torch.zeros(2, 1), "net.a": torch.zeros(1)}, r"net\.b"),
        ({"net.b": torch.zeros(1, 2), "net.a": torch.zeros(1, dtype=torch.int64)}, r"net\.a"),
    ],
)
def test_scores_that_do_not_fit_are_refused(answer: dict[str, torch.Tensor], complaint: str) -> None:
    ANSWERS["now"] = answer
    with pytest.raises(TicketlabError, match=complaint) as caught:
        ask()
    assert caught.value.mend.startswith("return ")


@pytest.mark.parametrize("sick", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(sick: float) -> None:
    ANSWERS["now"] = {"net.b": torch.zeros(1, 2), "net.a": torch.tensor([sick])}
    with pytest.raises(Diverged, match=r"net\.a"):
        ask()


@pytest.mark.parametrize("made_by", ["no_such_package_anywhere:scores", f"{__name__}:no_such_function"])
def test_a_method_that_cannot_be_imported_is_a_users_error(made_by: str) -> None:
    with pytest.raises(TicketlabError, match="cannot be imported"):
        ask(made_by)


def test_a_method_that_asks_for_what_the_run_lacks_is_told_so() -> None:
    for what, base, asking in (
        ("networks", "Drawn or Probed", SUBJECT.networks),
        ("inputs", "Probed", lambda: SUBJECT.inputs(0)),
        ("losses", "Probed", lambda: SUBJECT.losses({}, 0)),
    ):
        with pytest.raises(TicketlabError, match=what) as caught:
            asking()
        assert caught.value.mend.startswith(f'derive the class from {base} (ticketlab.spec.drawing), and name "{what}"')
