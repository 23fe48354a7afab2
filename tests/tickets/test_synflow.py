"""SynFlow's flow is conserved from layer to layer, and a hundred rounds of it leave no layer empty."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.foresight import DataFree, Px, SynFlow, SynFlowL2
from ticketlab.tickets.draw import layer_collapse
from ticketlab.tickets.scoring import score

ONCE = Schedule(density=0.5)


def chain(*widths: int, bias: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out, bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("method", [SynFlow, SynFlowL2])
@pytest.mark.parametrize("bias", [False, True])
def test_every_layer_of_a_chain_carries_the_whole_flow(
    bench: Callable[..., Any], method: type[DataFree], bias: bool
) -> None:
    made = bench({"classifier": chain(48, 30, 7, 20, 10, bias=bias)}, 3, 4, 4)
    flows = [float(values.sum()) for values in score(method(schedule=ONCE), made.subject()).values()]
    weights = [weight.double().abs() ** method.power for weight in made.weights.values()]
    total = torch.linalg.multi_dot(list(reversed(weights))).sum() if len(weights) > 1 else weights[0].sum()
    assert flows == pytest.approx([float(total)] * len(flows), rel=1e-10)


@pytest.mark.parametrize("method", [SynFlow, SynFlowL2])
@pytest.mark.parametrize("model", ["lenet", "convnet", "resnet", "vgg", "tiny_resnet", "sngan"])
def test_first_and_last_layer_carry_the_whole_flow_of_every_model(
    bench: Callable[..., Any], method: type[DataFree], model: str
) -> None:
    made = bench(model)
    scores = score(method(schedule=ONCE), made.subject())
    first = next(iter(made.networks))
    flows = [float(values.sum()) for layer, values in scores.items() if layer.startswith(f"{first}.")]
    assert flows[0] == pytest.approx(flows[-1], rel=1e-10)


def test_the_flow_of_a_convolution_is_conserved_in_every_unit(bench: Callable[..., Any]) -> None:
    """What enters a channel leaves it: the sums over a filter's inputs and over the next layer's uses of it agree."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 5, 3, bias=False), nn.Flatten())
    made = bench({"classifier": net}, 1, 6, 6)
    first, second = score(SynFlow(schedule=ONCE), made.subject()).values()
    assert torch.allclose(first.sum((1, 2, 3)), second.sum((0, 2, 3)), rtol=1e-12)


def test_a_hundred_rounds_keep_every_layer_alive_where_one_empties_some(bench: Callable[..., Any]) -> None:
    made = bench("vgg")
    once = made.drawn(SynFlow(schedule=Schedule(rounds=1, density=0.01)))
    slowly = made.drawn(SynFlow(schedule=Schedule(rounds=100, density=0.01)))
    assert layer_collapse(once)
    assert not layer_collapse(slowly)
    assert once.kept == slowly.kept


def test_data_do_not_count_and_are_not_asked_for(bench: Callable[..., Any]) -> None:
    made = bench("resnet")
    subject = made.subject()
    shown = score(SynFlow(schedule=ONCE), subject)
    made.images.mul_(3.0)
    hidden = type(subject)(
        subject.weights, subject.mask, subject.key, networks=subject.networks, shapes={"classifier": (3, 16, 16)}
    )
    assert all(torch.equal(shown[layer], values) for layer, values in score(SynFlow(schedule=ONCE), hidden).items())


def test_the_square_of_released_synflow_l2_is_the_recommended_one_times_the_slope(bench: Callable[..., Any]) -> None:
    """Without shifts the released score |w dR/d(w^2)| is the recommended one over |w|."""
    made = bench({"classifier": chain(48, 12, 10)}, 3, 4, 4)
    ours = score(SynFlowL2(schedule=ONCE), made.subject())
    released = score(SynFlowL2(schedule=ONCE, variant="released"), made.subject())
    for layer, weight in made.weights.items():
        assert torch.allclose(released[layer] * weight.abs(), ours[layer], rtol=1e-6)


def test_the_released_variant_counts_shifts_and_the_recommended_one_does_not(bench: Callable[..., Any]) -> None:
    bare, shifted = (bench({"classifier": chain(48, 12, 10, bias=bias)}, 3, 4, 4) for bias in (False, True))
    for name in ("1.weight", "3.weight"):
        weight = shifted.networks["classifier"].get_parameter(name).detach()
        bare.networks["classifier"].get_parameter(name).data.copy_(weight)
    same = [score(SynFlow(schedule=ONCE), made.subject())["classifier.3.weight"] for made in (bare, shifted)]
    other = [
        score(SynFlow(schedule=ONCE, variant="released"), made.subject())["classifier.3.weight"]
        for made in (bare, shifted)
    ]
    assert torch.equal(*same)
    assert bool((other[1] > other[0]).all())


@pytest.mark.parametrize("options", [SynFlow(schedule=ONCE), SynFlowL2(schedule=ONCE), Px(schedule=ONCE)])
@pytest.mark.parametrize("model", ["convnet", "resnet", "vgg", "tiny_resnet"])
def test_batch_normalisation_is_a_factor_that_can_be_put_into_the_convolution_before_it(
    bench: Callable[..., Any], model: str, options: Drawn
) -> None:
    made, folded = bench(model), bench(model)
    for network in (made.networks["classifier"], folded.networks["classifier"]):
        network.double().eval()
    fold(folded.networks["classifier"])
    found, expected = score(options, made.subject()), score(options, folded.subject())
    assert all(torch.allclose(found[layer], expected[layer], rtol=1e-9) for layer in found)


@torch.no_grad()
def fold(network: nn.Module) -> None:
    """Move what batch normalisation does into the convolution that comes right before it."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    for conv, norm in pairwise(layers):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            assert norm.running_var is not None
            assert norm.running_mean is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            shift = norm.bias - scale * norm.running_mean
            conv.bias = nn.Parameter(shift if conv.bias is None else shift + scale * conv.bias)
            conv.weight.mul_(scale.view(-1, 1, 1, 1))
            norm.weight.fill_(1), norm.bias.zero_(), norm.running_mean.zero_(), norm.running_var.fill_(1 - norm.eps)
