"""However a ReLU is spelled, scores that sum over paths are the same; what is no ReLU is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import TicketlabError
from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.foresight import Px, SynFlow, SynFlowL2
from ticketlab.tickets.scoring import score

ONCE = Schedule(density=0.5)
PXS: list[Px] = [Px(schedule=ONCE, variant=variant) for variant in ("recommended", "px_eval", "px_cvpr24")]
SYNFLOWS: list[Drawn] = [SynFlow(schedule=ONCE), SynFlowL2(schedule=ONCE), SynFlow(schedule=ONCE, variant="released")]


def in_passing(maps: Tensor) -> Tensor:
    maps.relu_()
    return maps


RELUS: dict[str, Callable[[Tensor], Tensor]] = {
    "in place": lambda maps: F.relu(maps, inplace=True),
    "in passing": in_passing,
    "threshold": lambda maps: F.threshold(maps, 0, 0),
    "threshold_": lambda maps: F.threshold(maps, threshold=0.0, value=0.0, inplace=True),
    "clamp": lambda maps: maps.clamp(min=0),
    "clamp_": lambda maps: maps.clamp_(0),
    "clip": lambda maps: torch.clip(maps, torch.zeros(()).to(maps)),
    "clamp_min": lambda maps: maps.clamp_min(0.0),
    "maximum": lambda maps: torch.maximum(maps, torch.zeros_like(maps)),
    "maximum turned": lambda maps: torch.maximum(torch.zeros(()).to(maps), maps),
    "max": lambda maps: maps.max(maps.new_zeros(1)),
    "leaky": lambda maps: F.leaky_relu(maps, negative_slope=0.0),
}
NAMED: dict[str, Callable[[Tensor], Tensor]] = {
    "clamp": lambda maps: maps.clamp(0, 6),
    "clamp_min": lambda maps: maps.clamp_min(-1),
    "clip": lambda maps: maps.clip(max=1),
    "threshold": lambda maps: F.threshold(maps, 0.1, 0.0),
    "maximum": lambda maps: torch.maximum(maps, -maps),
    "minimum": lambda maps: torch.minimum(maps, torch.ones_like(maps)),
    "relu6": F.relu6,
}
UNNAMED: dict[str, Callable[[Tensor], Tensor]] = {
    "times gate": lambda maps: maps * (maps > 0),
    "where": lambda maps: torch.where(maps > 0, maps, 0),
    "largest": lambda maps: maps - maps.amax((2, 3), keepdim=True),
    "size": lambda maps: (maps + maps.abs()) / 2,
    "normal": lambda maps: maps / maps.std((1, 2, 3), keepdim=True),
    "square": lambda maps: maps * maps,
    "shifted": lambda maps: maps + 1 + 1e-3 * maps.exp(),
}


class Bending(nn.Module):
    """Convolutions with normalisation, shifts, a shortcut and a max-pool, bent by a function given."""

    def __init__(self, bend: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.first, self.norm, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
            self.head = nn.Linear(4, 3)
        self.norm.running_mean.copy_(torch.tensor([0.3, -0.2, 0.1, 0.0]))
        self.bend = bend

    def forward(self, images: Tensor) -> Tensor:
        maps = F.max_pool2d(self.bend(self.norm(self.first(images))), 2)
        return self.head((self.bend(self.second(maps)) + maps).mean((2, 3)))


@pytest.mark.parametrize("method", [*PXS, *SYNFLOWS], ids=lambda method: f"{method.method}-{method.variant}")
@pytest.mark.parametrize("spelling", RELUS)
def test_a_relu_scores_the_same_however_it_is_spelled(bench: Callable[..., Any], spelling: str, method: Drawn) -> None:
    plain, other = (bench({"classifier": Bending(bend)}, 2, 4, 4) for bend in (F.relu, RELUS[spelling]))
    expected, found = score(method, plain.subject()), score(method, other.subject())
    assert all(torch.equal(found[layer], values) for layer, values in expected.items())


@pytest.mark.parametrize("method", [*PXS, *SYNFLOWS], ids=lambda method: f"{method.method}-{method.variant}")
@pytest.mark.parametrize("name", NAMED)
def test_what_is_known_to_bend_otherwise_is_refused_by_name(
    bench: Callable[..., Any], name: str, method: Drawn
) -> None:
    made = bench({"classifier": Bending(NAMED[name])}, 2, 4, 4)
    with pytest.raises(TicketlabError, match=f"sums over the paths of ReLU networks, and this one has {name}\n"):
        score(method, made.subject())


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("method", PXS, ids=lambda method: method.variant)
@pytest.mark.parametrize("bend", UNNAMED)
def test_what_bends_without_a_name_is_refused_by_what_it_does(
    bench: Callable[..., Any], bend: str, method: Px, precision: Any
) -> None:
    made = bench({"classifier": Bending(UNNAMED[bend])}, 2, 4, 4)
    with pytest.raises(TicketlabError, match=r"^classifier: this method sums over the paths .* this one is none"):
        score(method.model_copy(update={"precision": precision}), made.subject())


@pytest.mark.parametrize("bend", ["normal", "square", "shifted"])
def test_a_flow_that_does_not_grow_with_its_input_is_refused(bench: Callable[..., Any], bend: str) -> None:
    made = bench({"classifier": Bending(UNNAMED[bend])}, 2, 4, 4)
    with pytest.raises(TicketlabError, match=r"^classifier: this method sums over the paths .* this one is none"):
        score(SYNFLOWS[0], made.subject())


@pytest.mark.parametrize("bend", ["times gate", "where"])
def test_synflow_opens_a_relu_that_it_does_not_know(bench: Callable[..., Any], bend: str) -> None:
    plain, other = (bench({"classifier": Bending(function)}, 2, 4, 4) for function in (F.relu, UNNAMED[bend]))
    expected, found = score(SYNFLOWS[0], plain.subject()), score(SYNFLOWS[0], other.subject())
    assert all(torch.equal(found[layer], values) for layer, values in expected.items())


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", ["lenet", "resnet", "tiny_vgg", "imagenet_resnet", "sngan"])
def test_rounding_is_no_bend(bench: Callable[..., Any], model: str, precision: Any) -> None:
    for method in (PXS[0], SYNFLOWS[0]):
        assert score(method.model_copy(update={"precision": precision}), bench(model).subject())
