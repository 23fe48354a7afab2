"""Random scores are keyed by layer name, and random pruning keeps what the schedule says."""

import torch

from ticketlab.randomness import Key
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.ticket import Random
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.random import scores
from ticketlab.tickets.subject import Subject

OPTIONS = Random(schedule=Schedule(density=0.5))


def subject(weights: dict[str, torch.Tensor], seed: int = 0) -> Subject:
    return Subject(weights, Mask.dense({name: tuple(w.shape) for name, w in weights.items()}), Key(seed).of("round", 1))


def test_scores_depend_on_key_and_name_only() -> None:
    both = scores(OPTIONS, subject({"net.a": torch.zeros(50), "net.b": torch.zeros(50)}))
    alone = scores(OPTIONS, subject({"net.b": torch.ones(50)}))
    assert torch.equal(both["net.b"], alone["net.b"])
    assert not torch.equal(both["net.a"], both["net.b"])
    assert not torch.equal(alone["net.b"], scores(OPTIONS, subject({"net.b": torch.ones(50)}, seed=1))["net.b"])


def test_scores_are_uniform_and_untied() -> None:
    drawn = scores(OPTIONS, subject({"net.a": torch.zeros(200_000)}))["net.a"]
    assert drawn.unique().numel() == 200_000
    assert abs(float(drawn.mean()) - 0.5) < 0.005
    assert abs(float(drawn.var()) - 1 / 12) < 0.002


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    scores(OPTIONS, subject({"net.a": torch.zeros(5)}))
    assert torch.equal(before, torch.get_rng_state())
