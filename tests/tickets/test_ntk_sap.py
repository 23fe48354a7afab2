"""NTK-SAP's score is the derivative in the mask of how far random perturbations move random networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from ticketlab.models.initialise import kaiming_normal, normal
from ticketlab.randomness import Key
from ticketlab.spec.drawing import Schedule
from ticketlab.spec.foresight import NtkSap
from ticketlab.spec.impossible import Impossible
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scoring import score

OPTIONS = NtkSap(schedule=Schedule(density=0.5), precision="float64", draws=3, eps=0.05)


def two_layers() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 4))


def moved(factors: dict[str, torch.Tensor], biases: dict[str, torch.Tensor], draw: int, key: Key) -> torch.Tensor:
    """Squared distance of one draw, from the documented addresses, with plain matrix products."""
    address = key.of("ntk_sap", "classifier", draw, 0)
    x = normal()(torch.Size((8, 3, 2, 2)), address.of("inputs").generator()).double().flatten(1)
    ends = []
    for perturbed in (False, True):
        values = x
        for name, factor in factors.items():
            weight = kaiming_normal("in")(factor.shape, address.of("weight", f"{name}.weight").generator()).double()
            if perturbed:
                change = normal()(factor.shape, address.of("change", f"{name}.weight").generator()).double()
                weight = weight + OPTIONS.eps * change
            values = values @ (factor * weight).T + biases[name]
            values = values.relu() if name == "1" else values
        ends.append(values)
    return (ends[0] - ends[1]).square().sum()


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_scores_are_derivatives_in_the_mask(bench: Callable[..., Any], share: float) -> None:
    made = bench({"classifier": two_layers()}, 3, 2, 2)
    source = torch.Generator().manual_seed(1)
    mask = Mask({layer: torch.rand(kept.shape, generator=source) < share for layer, kept in made.dense.items()})
    key = Key(4)
    scores = score(OPTIONS, made.subject(mask, key=key))
    factors = {name: mask[f"classifier.{name}.weight"].double().requires_grad_() for name in ("1", "3")}
    biases = {name: made.networks["classifier"].get_parameter(f"{name}.bias").detach().double() for name in factors}
    sum(moved(factors, biases, draw, key) for draw in range(OPTIONS.draws)).backward()  # type: ignore[union-attr]
    for name, factor in factors.items():
        assert factor.grad is not None
        expected = factor.grad.abs() * mask[f"classifier.{name}.weight"]
        assert torch.allclose(scores[f"classifier.{name}.weight"], expected, rtol=1e-9, atol=1e-14)


def test_the_values_of_the_weights_do_not_count_but_their_mask_does(bench: Callable[..., Any]) -> None:
    made = bench("resnet")
    before = score(OPTIONS, made.subject())
    with torch.no_grad():
        made.networks["classifier"].get_parameter("conv.weight").mul_(-5.0)
    again = score(OPTIONS, made.subject())
    assert all(torch.equal(before[layer], again[layer]) for layer in before)
    half = made.drawn(OPTIONS)
    assert all(not bool(values[~half[layer]].any()) for layer, values in score(OPTIONS, made.subject(half)).items())


class Tied(nn.Module):
    """A weight that two layers share, of which it has the name of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.there, self.back = nn.Linear(12, 5), nn.Linear(5, 5), nn.Linear(5, 5)
        self.back.weight = self.there.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.back(self.there(self.enter(images.flatten(1)).relu()).relu())


def test_what_is_pruned_of_a_weight_that_layers_share_scores_nothing(bench: Callable[..., Any]) -> None:
    made = bench({"classifier": Tied()}, 3, 2, 2)
    assert list(made.weights) == ["classifier.enter.weight", "classifier.there.weight"]
    source = torch.Generator().manual_seed(1)
    mask = Mask({layer: torch.rand(kept.shape, generator=source) < 0.5 for layer, kept in made.dense.items()})
    for layer, values in score(OPTIONS, made.subject(mask)).items():
        assert not values[~mask[layer]].any()
        assert values[mask[layer]].any()


def test_another_key_is_another_draw(bench: Callable[..., Any]) -> None:
    made = bench("mlp")
    one, other = (score(OPTIONS, made.subject(key=Key(seed))) for seed in (0, 1))
    assert not torch.equal(one["classifier.fc.weight"], other["classifier.fc.weight"])


def test_generative_adversarial_networks_are_refused_when_the_spec_is_read() -> None:
    from ticketlab.spec.catalog import KNOWN
    from ticketlab.spec.resolve import resolve
    from ticketlab.spec.spec import Spec

    asked = Spec.model_validate(
        {
            "name": "x",
            "data": {"dataset": "cifar10"},
            "model": {"kind": "sngan"},
            "ticket": {"method": "ntk_sap", "schedule": {"density": 0.5}},
            "train": {"objective": "hinge", "steps": 100},
        }
    )
    with pytest.raises(Impossible, match="redraws every weight"):
        resolve(asked, KNOWN["cifar10"])
