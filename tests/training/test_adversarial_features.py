"""Adversarial features: the steps, whom they hurt, what they leave alone; and what a regulariser is given in general."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import Field
from torch import Tensor

from ticketlab.spec.optimizer import Sgd
from ticketlab.spec.regulariser import AdversarialFeatures, RegulariserChoice
from ticketlab.training.adversarial import HINGE
from ticketlab.training.adversarial_features import DOWN, UP, moved, term
from ticketlab.training.setup import tensors_of
from ticketlab.training.turn import CriticTurn, GeneratorTurn, Turn


def training_of(bench: Callable[..., Any], *regularisers: RegulariserChoice, **options: Any) -> Any:
    """A hinge training, both players in training mode, with these regularisers."""
    made = bench("hinge", **options)
    plain = Sgd(lr=0.01)
    update = {"regularisers": regularisers, "optimizer": plain, "critic_optimizer": plain}
    made.objective = made.objective.model_copy(update=update)
    training = made.training()
    training.generator.train()
    training.critic.train()
    return training


def turns(training: Any) -> tuple[CriticTurn, GeneratorTurn]:
    return training._critic_turn(training._players, 0), training._generator_turn(training._players, 0)


def test_on_linear_scores_the_steps_add_up_to_the_sign_of_the_weights_and_a_feature_without_one_stays() -> None:
    weights = torch.tensor([[2.0], [-0.001], [0.0]])
    features = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    options = AdversarialFeatures(gamma=0.25, steps=3)
    for way in (UP, DOWN):
        found = moved(features, lambda here: here @ weights, way, options)
        assert torch.equal(found, features + way * torch.tensor([0.75, -0.75, 0.0]))
    released = options.model_copy(update={"direction": "reference"})
    found = moved(features, lambda here: here @ weights, DOWN, released)
    assert torch.equal(found, features + torch.tensor([0.75, -0.75, 0.0]))


def test_every_step_follows_the_gradient_where_it_is() -> None:
    """Up a parabola with its top at 0: from 0.3 down to 0.1, past it to -0.1, and back."""
    options = AdversarialFeatures(gamma=0.2, steps=3)
    found = moved(torch.tensor([[0.3]]), lambda here: -here.square(), UP, options)
    assert found.item() == pytest.approx(-0.1 + 0.2)


def test_gradients_pass_through_the_movement_unchanged() -> None:
    features = torch.tensor([[0.5, -2.0]], requires_grad=True)
    found = moved(features, lambda here: here.pow(3).sum(1), UP, AdversarialFeatures(gamma=0.1))
    found.pow(3).sum().backward()
    assert features.grad is not None
    torch.testing.assert_close(features.grad, 3 * (features.detach() + 0.1).square())


def test_the_critics_term_is_that_of_scores_moved_by_gamma_times_the_norm_of_its_linear_head(
    bench: Callable[..., Any],
) -> None:
    options = AdversarialFeatures(gamma=0.01, steps=2)
    training = training_of(bench, options)
    turn, _ = turns(training)
    weight = training.critic.get_submodule(training.critic._last).eval().effective_weight()
    training.critic.train()
    far = 0.02 * weight.abs().sum()
    expected = HINGE.critic(turn.real.scores - far, turn.fake.scores + far)
    torch.testing.assert_close(term(options, turn), (expected - turn.loss) / 2)
    assert far > 0.01


def test_the_generators_grid_moves_against_the_slope_that_finite_differences_find(bench: Callable[..., Any]) -> None:
    options = AdversarialFeatures(gamma=0.01)
    training = training_of(bench, options, masked=False)
    training.generator.double().eval()
    training.critic.double().eval()
    latents = torch.randn(3, 8, generator=torch.Generator().manual_seed(2)).double()
    grid = training.generator.project(latents).detach()

    def scores(here: Tensor) -> Tensor:
        return training.critic(training.generator.grow(here))

    shift = moved(grid, scores, DOWN, options) - grid
    with torch.no_grad():
        for place in range(0, grid.numel(), 7):
            nudge = torch.zeros(grid.numel(), dtype=torch.float64)
            nudge[place] = 1e-6
            nudge = nudge.view(grid.shape)
            slope = (scores(grid + nudge).mean() - scores(grid - nudge).mean()).item()
            if abs(slope) > 1e-12:
                assert shift.flatten()[place].item() == pytest.approx(-0.01 if slope > 0 else 0.01)


@pytest.mark.parametrize("steps", [1, 3])
def test_both_players_are_hurt_and_the_released_direction_helps_the_generator(
    bench: Callable[..., Any], steps: int
) -> None:
    options = AdversarialFeatures(gamma=0.01, steps=steps)
    released = options.model_copy(update={"direction": "reference"})
    training = training_of(bench, options)
    for turn in turns(training):
        assert term(options, turn) > 0
    assert term(released, turns(training)[1]) < 0


def test_an_update_descends_the_mean_of_both_losses(bench: Callable[..., Any]) -> None:
    options = AdversarialFeatures(gamma=0.05)
    training = training_of(bench, options)
    for player, turn in zip(("critic", "generator"), turns(training), strict=True):
        added = term(options, turn)
        perturbed = turn.loss + 2 * added
        torch.testing.assert_close(training._regularised(player, turn), (turn.loss + perturbed) / 2)


def buffers(training: Any) -> dict[str, Tensor]:
    networks = {"generator": training.generator, "critic": training.critic}
    return {f"{n}.{name}": value.clone() for n, of in networks.items() for name, value in of.named_buffers()}


def test_the_search_and_the_perturbed_branch_leave_no_trace_in_statistics_and_vectors(
    bench: Callable[..., Any],
) -> None:
    options = AdversarialFeatures(gamma=0.1, steps=2)
    training = training_of(bench, options)
    for turn in turns(training):
        before = buffers(training)
        term(options, turn)
        assert all(torch.equal(value, before[name]) for name, value in buffers(training).items())


def test_the_released_way_moves_batch_norm_three_times_in_a_generator_turn(bench: Callable[..., Any]) -> None:
    options = AdversarialFeatures(direction="reference")
    training = training_of(bench, options)
    turn = training._generator_turn(training._players, 0)
    term(options, turn)
    counts = {int(v) for name, v in buffers(training).items() if name.endswith("num_batches_tracked")}
    assert counts == {3}


def test_steps_of_no_length_change_no_bit_of_a_training(bench: Callable[..., Any]) -> None:
    plain, none = training_of(bench), training_of(bench, AdversarialFeatures(gamma=0))
    for number in range(3):
        assert plain.step(number) == none.step(number)
    theirs = none.state()
    assert all(torch.equal(value, theirs[name]) for name, value in plain.state().items())


def test_steps_below_rounding_change_a_training_by_rounding_alone(bench: Callable[..., Any]) -> None:
    """So the two halves are of the same augmented images, and make up one whole loss."""
    plain, tiny = training_of(bench), training_of(bench, AdversarialFeatures(gamma=1e-30, steps=2))
    start = plain.critic.state_dict()["block1.c1.weight_orig"].clone()
    for number in range(2):
        plain.step(number), tiny.step(number)
    assert not torch.equal(plain.critic.state_dict()["block1.c1.weight_orig"], start)
    theirs = tensors_of(tiny.trained())
    for name, value in tensors_of(plain.trained()).items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-5)


def test_in_half_precision_small_steps_of_the_critic_are_not_rounded_away(bench: Callable[..., Any]) -> None:
    options = AdversarialFeatures(gamma=1e-4)
    training = training_of(bench, options, bf16=True)
    with training._setup.precision():
        turn, _ = turns(training)
        assert turn.real.features.abs().mean() > 0.1
        weight = training.critic.get_submodule(training.critic._last).eval().effective_weight()
        far = 1e-4 * weight.abs().sum()
        training.critic.train()
        perturbed = turn.loss + 2 * term(options, turn)
        with torch.autocast("cpu", enabled=False):
            head = training.critic.eval().head
            scores = [head(judged.features.float()) for judged in (turn.real, turn.fake)]
        expected = HINGE.critic(scores[0] - far, scores[1] + far)
    torch.testing.assert_close(perturbed, expected, rtol=1e-6, atol=1e-6)


def test_one_player_alone_may_be_regularised(bench: Callable[..., Any]) -> None:
    training = training_of(bench, AdversarialFeatures(on=("critic",)))
    critic, generator = turns(training)
    assert critic.real.features is not None
    assert generator.grid is None
    assert training._regularised("generator", generator) is generator.loss
    assert training._regularised("critic", critic) > critic.loss


class Penalty(RegulariserChoice):
    """Squared slope of the critic's scores on real images: a term as another package would add it."""

    made_by: ClassVar[str] = f"{__name__}:penalty"
    about: ClassVar[str] = "a gradient penalty"

    kind: Literal["penalty"] = Field(default="penalty", description="Gradient penalty.")
    on: tuple[Literal["generator", "critic"], ...] = ("critic",)


SEEN: list[Turn] = []


def penalty(options: Penalty, turn: Turn) -> Tensor:
    SEEN.append(turn)
    assert isinstance(turn, CriticTurn)
    images = turn.real.shown.detach().requires_grad_()
    scores = turn.critic(images, turn.real.labels)
    (slopes,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return slopes.square().sum((1, 2, 3)).mean()


def test_a_term_of_another_kind_needs_nothing_of_the_loss_and_goes_with_others(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    import types

    module = types.ModuleType("a_penalty")
    module.penalty = penalty  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_penalty", module)
    monkeypatch.setattr(Penalty, "made_by", "a_penalty:penalty")
    SEEN.clear()
    training = training_of(bench, Penalty(), AdversarialFeatures())
    losses = training.step(0)
    assert all(value.isfinite() for value in losses.values())
    assert [turn.number for turn in SEEN] == [0, 1]
    assert len({turn.key.path for turn in SEEN}) == 2
    first = SEEN[0]
    assert isinstance(first, CriticTurn)
    pixels, labels = training._setup.batches.at(0)
    assert torch.equal(first.real.labels, labels)
    assert torch.equal(first.real.images, training._setup.scale(pixels))
    assert torch.equal(first.entering[0], training.entering(len(pixels), "critic", 0)[0])
    assert torch.equal(first.show(first.fake.images), first.fake.shown)
