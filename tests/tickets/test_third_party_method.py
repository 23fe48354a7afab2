"""What adding a pruning method takes, one options class and one function; here SNIP (Lee et al. 2019)."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ticketlab.randomness import Key
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.probed import Probed
from ticketlab.tickets.draw import draw_round
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scoring import score
from ticketlab.tickets.subject import Subject

# ---- the method: all that a third party writes ----------------------------------------------------------------------


class Snip(Probed):
    """Keep the weights whose removal would change the loss most."""

    made_by: ClassVar[str] = f"{__name__}:scores"
    about: ClassVar[str] = "sensitivity of the loss to each connection, at initialisation"
    source: ClassVar[str] = "Lee et al. 2019, arXiv 1810.02340"
    scores_need: ClassVar[frozenset[str]] = frozenset({"networks", "losses"})

    method: Literal["snip"] = Field(default="snip", description="SNIP.")


def scores(options: Snip, subject: Subject) -> dict[str, Tensor]:
    """|dL/dm| = |w dL/d(m w)| on one recorded batch."""
    networks = subject.networks()
    losses = subject.losses(networks, 0)
    answer: dict[str, Tensor] = {}
    for network, module in networks.items():
        live = {f"{network}.{name}": weight for name, weight in module.named_parameters()}
        layers = [layer for layer in subject.weights if layer in live]
        gradients = torch.autograd.grad(losses[network], [live[layer] for layer in layers])
        answer |= {
            layer: (subject.weights[layer] * gradient).abs() for layer, gradient in zip(layers, gradients, strict=True)
        }
    return answer


# ---- a small classifier, and what a run would offer about it --------------------------------------------------------


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()


def initial_state(seed: int) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(value.shape, generator=source, dtype=torch.float64)
        for name, value in mlp().state_dict().items()
    }


STATE = initial_state(0)
IMAGES = torch.randn(11, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LABELS = torch.randint(3, (11,), generator=torch.Generator().manual_seed(2))
WEIGHTS = {f"classifier.{name}": STATE[name] for name in ("0.weight", "2.weight")}
KINDS = dict.fromkeys(WEIGHTS, "linear")


def subject_under(mask: Mask) -> Subject:
    def networks(precision: torch.dtype | None = None) -> dict[str, nn.Module]:
        module = mlp()
        kept = {layer.removeprefix("classifier."): bits for layer, bits in mask.items()}
        module.load_state_dict({name: value * kept.get(name, True) for name, value in STATE.items()})
        return {"classifier": module.eval().to(precision)}

    def losses(modules: Mapping[str, nn.Module], draw: int) -> dict[str, Tensor]:
        return {"classifier": nn.functional.cross_entropy(modules["classifier"](IMAGES), LABELS)}

    return Subject(WEIGHTS, mask, Key(0), networks=networks, losses=losses)


def loss_of(factors: Mapping[str, Tensor]) -> float:
    state = dict(STATE)
    for layer, factor in factors.items():
        state[layer.removeprefix("classifier.")] = WEIGHTS[layer] * factor
    module = mlp()
    module.load_state_dict(state)
    with torch.no_grad():
        return float(nn.functional.cross_entropy(module(IMAGES), LABELS))


def finite_difference_in_the_mask(mask: Mask, layer: str, index: int, step: float = 1e-6) -> float:
    sides = []
    for sign in (1, -1):
        factors = {name: kept.double() for name, kept in mask.items()}
        factors[layer].view(-1)[index] += sign * step
        sides.append(loss_of(factors))
    return abs(sides[0] - sides[1]) / (2 * step)


def test_snip_scores_are_the_derivatives_of_the_loss_in_the_mask() -> None:
    dense = Mask.dense({layer: tuple(weight.shape) for layer, weight in WEIGHTS.items()})
    options = Snip(schedule=Schedule(rounds=2, density=0.25), round_steps=0)
    half = draw_round(options, score(options, subject_under(dense)), KINDS, dense, 1)
    for mask in (dense, half):
        for layer, values in score(options, subject_under(mask)).items():
            for index, value in enumerate(values.reshape(-1).tolist()):
                assert abs(value - finite_difference_in_the_mask(mask, layer, index)) < 1e-8


def test_the_example_of_the_readme_that_looks_at_losses_scores_likewise() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    (program,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "(Probed)" in block)
    example: dict[str, Any] = {"__name__": "example"}
    exec(program, example)
    assert example["Sensitivity"].scores_need == {"networks", "losses"}
    dense = Mask.dense({layer: tuple(weight.shape) for layer, weight in WEIGHTS.items()})
    subject = replace(subject_under(dense), batches=(len(IMAGES),))
    expected = score(Snip(schedule=Schedule(density=0.5)), subject)
    found = example["scores"](None, subject)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[layer], expected[layer]) for layer in found)


def test_snip_draws_exact_nested_rounds_like_any_method() -> None:
    options = Snip(schedule=Schedule(rounds=3, density=0.125), round_steps=0)
    mask = Mask.dense({layer: tuple(weight.shape) for layer, weight in WEIGHTS.items()})
    counts = []
    for done in (1, 2, 3):
        drawn = draw_round(options, score(options, subject_under(mask)), KINDS, mask, done)
        assert drawn.within(mask)
        mask = drawn
        counts.append(mask.kept)
    assert counts == [28, 14, 7]


def test_scoring_leaves_no_gradient_and_no_change_behind() -> None:
    before = {name: value.clone() for name, value in STATE.items()}
    dense = Mask.dense({layer: tuple(weight.shape) for layer, weight in WEIGHTS.items()})
    score(Snip(schedule=Schedule(rate=0.5)), subject_under(dense))
    assert all(torch.equal(before[name], value) and value.grad is None for name, value in STATE.items())
