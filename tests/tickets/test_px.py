"""PX is what one gets by walking every path of the network by hand."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import Diverged, TicketlabError
from ticketlab.models.spectral import SpectralLayer
from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.foresight import Px, SynFlow, SynFlowL2
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scope import network_of
from ticketlab.tickets.scoring import score

PX = Px(schedule=Schedule(density=0.5))
Node = tuple[str, int]
Weight = tuple[str, int]


@dataclass
class Walk:
    """A network as a graph for one image: edges with a weight or a fixed factor, and the gates of its nodes."""

    edges: dict[Node, list[tuple[Node, Weight | None, float, float]]] = field(default_factory=lambda: defaultdict(list))
    gates: dict[Node, float] = field(default_factory=dict)

    def weighted(self, start: Node, end: Node, weight: Weight, value: float, kept: bool) -> None:
        """An edge that counts kept in the activity, value^2 in the strength."""
        self.edges[start].append((end, weight, float(kept), value**2 * kept))

    def fixed(self, start: Node, end: Node, activity: float, strength: float) -> None:
        self.edges[start].append((end, None, activity, strength))

    def paths(self, node: Node, activity: float, strength: float, on: tuple[Weight, ...]) -> Iterator[Any]:
        """Every path from a node on: its last node, products, and weights."""
        activity *= self.gates.get(node, 1.0)
        if not self.edges.get(node):
            yield node, activity, strength, on
        for end, weight, factor, squared in self.edges.get(node, ()):
            yield from self.paths(end, activity * factor, strength * squared, on if weight is None else (*on, weight))


def by_hand(walks: list[tuple[Walk, dict[Node, float]]], shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """theta^2 dR/d(theta^2), R = sum over images and outputs of (sum of a_p x^2) (sum of v_p^2)."""
    found = {name: torch.zeros(shape.numel(), dtype=torch.float64) for name, shape in shapes.items()}
    for walk, pixels in walks:
        activity: dict[Node, float] = defaultdict(float)
        through: dict[Node, dict[Weight, float]] = defaultdict(lambda: defaultdict(float))
        for start, value in pixels.items():
            for end, open_to, strength, on in walk.paths(start, 1.0, 1.0, ()):
                activity[end] += open_to * value**2
                for weight in on:
                    through[end][weight] += strength
        for end, weights in through.items():
            for (name, index), strength in weights.items():
                found[name][index] += activity[end] * strength
    return {name: values.view(shapes[name]) for name, values in found.items()}


def add_linear(walk: Walk, start: str, end: str, name: str, weight: Tensor, kept: Tensor) -> None:
    for index in range(weight.numel()):
        out, into = divmod(index, weight.shape[1])
        value = float(weight[out, into])
        walk.weighted((start, into), (end, out), (name, index), value, bool(kept[out, into]))


def add_conv(walk: Walk, start: str, end: str, name: str, weight: Tensor, kept: Tensor, side: int, pad: int) -> None:
    channels, reach = weight.shape[1], weight.shape[2]
    for out, into, dy, dx in torch.cartesian_prod(*map(torch.arange, weight.shape)).tolist():
        index = ((out * channels + into) * reach + dy) * reach + dx
        for y in range(side):
            for x in range(side):
                row, column = y + dy - pad, x + dx - pad
                if 0 <= row < side and 0 <= column < side:
                    walk.weighted(
                        (start, (into * side + row) * side + column),
                        (end, (out * side + y) * side + x),
                        (name, index),
                        float(weight[out, into, dy, dx]),
                        bool(kept[out, into, dy, dx]),
                    )


def gate(walk: Walk, name: str, before: Tensor) -> None:
    walk.gates |= {(name, index): float(value > 0) for index, value in enumerate(before.flatten())}


def furthest(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest difference of any score from the one expected, relative to the largest of these."""
    assert {name.removeprefix("classifier.") for name in found} == expected.keys()
    largest = max(float(values.abs().max()) for values in expected.values())
    apart = (found[f"classifier.{name}"].double() - values for name, values in expected.items())
    return max(float(difference.abs().max()) for difference in apart) / largest


def some_of(dense: Mask, share: float) -> Mask:
    source = torch.Generator().manual_seed(3)
    return Mask({layer: torch.rand(kept.shape, generator=source) < share for layer, kept in dense.items()})


def perceptron(bias: bool) -> nn.Sequential:
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 5, bias), nn.ReLU(), nn.Linear(5, 4, bias), nn.ReLU())
    return net.append(nn.Linear(4, 3, bias))


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("bias", [False, True])
def test_px_of_a_perceptron_is_the_sum_over_its_paths(bench: Callable[..., Any], bias: bool, share: float) -> None:
    made = bench({"classifier": perceptron(bias)}, 1, 2, 3)
    mask = some_of(made.dense, share)
    masked = {name: made.weights[layer].double() * mask[layer] for layer, name in own(made).items()}
    kept = {name: mask[layer] for layer, name in own(made).items()}
    net = made.subject(mask).networks()["classifier"].double()
    walks = []
    for image in made.images.double():
        walk = Walk()
        first = net[1](image.flatten())
        gate(walk, "first", first)
        gate(walk, "second", net[3](first.relu()))
        for start, end, name in (("in", "first", "1"), ("first", "second", "3"), ("second", "out", "5")):
            add_linear(walk, start, end, f"{name}.weight", masked[f"{name}.weight"], kept[f"{name}.weight"])
        walks.append((walk, {("in", index): float(value) for index, value in enumerate(image.flatten())}))
    expected = by_hand(walks, {name: weight.shape for name, weight in masked.items()})
    assert furthest(score(PX, made.subject(mask, (5, 3))), expected) < 1e-10


def own(made: Any) -> dict[str, str]:
    return {layer: layer.partition(".")[2] for layer in made.weights}


class Scale(nn.Module):
    """The identity of released residual networks: a factor for each channel that is never trained."""

    def __init__(self, *factors: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(factors).view(-1, 1, 1), requires_grad=False)

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.weight


class Pooling(nn.Module):
    """A convolution with bias, batch normalisation, a max-pool, a residual block with a shortcut, a mean, a head."""

    def __init__(self, shortcut: nn.Module) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.conv, self.bn = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.inner, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
        self.head = nn.Linear(2, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.max_pool2d(F.relu(self.bn(self.conv(images))), 2)
        return self.head(F.relu(self.norm(self.inner(maps)) + self.shortcut(maps)).mean((2, 3)))


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("shortcut", [nn.Identity(), Scale(0.5, -1.5)], ids=["identity", "scale"])
def test_px_walks_through_convolutions_normalisation_pools_and_shortcuts(
    bench: Callable[..., Any], shortcut: nn.Module, share: float
) -> None:
    network = Pooling(shortcut)
    source = torch.Generator().manual_seed(0)
    for norm in (network.bn, network.norm):
        for values in (norm.weight, norm.bias, norm.running_mean):
            values.data.copy_(torch.randn(2, generator=source))
        norm.running_var.copy_(0.5 + torch.rand(2, generator=source))
    made = bench({"classifier": network}, 1, 4, 4)
    mask = some_of(made.dense, share)
    net: Any = made.subject(mask).networks()["classifier"].double()
    kept = {name: mask[layer] for layer, name in own(made).items()}
    weights = {name: net.get_parameter(name).detach() for name in kept}
    walks = [(walk_of(net, image, weights, kept), pixels_of(image)) for image in made.images.double()]
    expected = by_hand(walks, {name: weight.shape for name, weight in weights.items()})
    assert furthest(score(PX, made.subject(mask, (5, 3))), expected) < 1e-10


def pixels_of(image: Tensor) -> dict[Node, float]:
    return {("in", index): float(value) for index, value in enumerate(image.flatten())}


@torch.no_grad()
def walk_of(net: Any, image: Tensor, weights: dict[str, Tensor], kept: dict[str, Tensor]) -> Walk:
    walk = Walk()
    normed = net.bn(net.conv(image[None]))
    pooled, route = F.max_pool2d(normed.relu(), 2, return_indices=True)
    gate(walk, "bn", normed)
    gate(walk, "sum", net.norm(net.inner(pooled)) + net.shortcut(pooled))
    add_conv(walk, "in", "conv", "conv.weight", weights["conv.weight"], kept["conv.weight"], 4, 1)
    through = net.shortcut(torch.ones(1, 2, 1, 1)).flatten().tolist()
    for channel in range(2):
        scale, inner_scale = (
            float(norm.weight[channel] ** 2 / (norm.running_var[channel] + norm.eps)) for norm in (net.bn, net.norm)
        )
        for place in range(16):
            walk.fixed(("conv", 16 * channel + place), ("bn", 16 * channel + place), 1, scale)
        for place in range(4):
            node = 4 * channel + place
            walk.fixed(("bn", 16 * channel + int(route[0, channel].flatten()[place])), ("pool", node), 1, 1)
            walk.fixed(("inner", node), ("sum", node), 1, inner_scale)
            walk.fixed(("pool", node), ("sum", node), 1, through[channel] ** 2)
            walk.fixed(("sum", node), ("mean", channel), 0.25, 0.25)
    add_conv(walk, "pool", "inner", "inner.weight", weights["inner.weight"], kept["inner.weight"], 2, 0)
    add_linear(walk, "mean", "out", "head.weight", weights["head.weight"], kept["head.weight"])
    # Pixels that no maximum came from end nowhere.
    dead = [("bn", node) for node in range(32) if ("bn", node) not in walk.edges]
    for start in list(walk.edges):
        walk.edges[start] = [edge for edge in walk.edges[start] if edge[0] not in dead]
    for start, edges in walk.edges.items():
        walk.edges[start] = [edge for edge in edges if edge[0][0] == "out" or walk.edges.get(edge[0])]
    return walk


def test_a_spectrally_normalised_layer_counts_as_its_weight_over_sigma(bench: Callable[..., Any]) -> None:
    made = bench("sngan")
    twin = copy.deepcopy(made.networks["critic"]).eval().double()
    for module in list(twin.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, SpectralLayer):
                setattr(module, name, ordinary(layer))
    plain = bench({"critic": twin}, 3, 32, 32)
    plain.images = made.images
    found, expected = score(PX, made.subject()), score(PX, plain.subject())
    for layer, values in expected.items():
        assert torch.allclose(found[layer.replace(".weight", ".weight_orig")], values, rtol=1e-9)


def ordinary(layer: Any) -> nn.Module:
    made: nn.Module
    if isinstance(layer, nn.Conv2d):
        made = nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, padding=layer.padding)
    else:
        made = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    made.weight = nn.Parameter(layer.effective_weight().detach())
    made.bias = layer.bias
    return made


def test_a_generator_is_scored_before_its_tanh(bench: Callable[..., Any]) -> None:
    made = bench("sngan")

    class Unsquashed(type(made.networks["generator"])):  # type: ignore[misc]
        def grow(self, features: Tensor) -> Tensor:
            for layer in list(self.children())[1:]:
                features = layer(features)
            return features

    expected = score(PX, made.subject())
    made.networks["generator"].__class__ = Unsquashed
    found = score(PX, made.subject())
    assert all(torch.equal(found[layer], expected[layer]) for layer in found)
    assert not torch.equal(made.networks["generator"](made.noise), made.networks["generator"](made.noise).tanh())


@pytest.mark.parametrize("model", ["mlp", "lenet", "resnet", "vgg", "tiny_resnet", "imagenet_resnet", "sngan"])
def test_the_first_and_the_last_layer_share_out_the_same_total(bench: Callable[..., Any], model: str) -> None:
    """Every path goes through both once, so the scores of both add up to R."""
    made = bench(model)
    scores = score(PX, made.subject())
    for network in made.networks:
        sums = [float(values.sum()) for layer, values in scores.items() if network_of(layer) == network]
        if network != "critic":  # whose first block has a shortcut
            assert sums[0] == pytest.approx(sums[-1], rel=1e-10)
            assert sums[0] > 0


@pytest.mark.parametrize("variant", ["recommended", "px_eval"])
def test_batches_do_not_count(bench: Callable[..., Any], variant: Any) -> None:
    made = bench("lenet")
    options = PX.model_copy(update={"variant": variant})
    whole, parts = score(options, made.subject()), score(options, made.subject(sizes=(3, 4, 1)))
    assert all(torch.allclose(whole[layer], parts[layer], rtol=1e-10) for layer in whole)


def test_the_released_form_is_the_recommended_one_where_there_is_nothing_to_disagree_about(
    bench: Callable[..., Any],
) -> None:
    made = bench({"classifier": perceptron(bias=False)}, 1, 2, 3)
    ours, released = (
        score(PX.model_copy(update={"variant": variant}), made.subject()) for variant in ("recommended", "px_eval")
    )
    assert all(torch.allclose(ours[layer], released[layer], rtol=1e-12) for layer in ours)


def test_leaky_gates_count_with_their_slope_squared(bench: Callable[..., Any]) -> None:
    slope = 0.3
    leaky = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.LeakyReLU(slope), nn.Linear(5, 3))
    made = bench({"classifier": leaky}, 1, 2, 3)
    first, last = (weight.double() for weight in made.weights.values())
    images = made.images.double().flatten(1)
    before = images @ first.T + leaky[1].bias.double()
    gates = torch.where(before > 0, 1.0, slope**2).double()
    activity = (gates * images.square().sum(1, keepdim=True)).sum(1)
    expected = activity.sum() * last.square() * first.square().sum(1)
    assert torch.allclose(score(PX, made.subject())["classifier.3.weight"], expected, rtol=1e-12)


@pytest.mark.parametrize(
    "method",
    [PX, SynFlow(schedule=PX.schedule), SynFlowL2(schedule=PX.schedule)],
    ids=lambda method: method.name,
)
def test_a_factor_by_channel_counts_as_batch_normalisation_of_that_scale(
    bench: Callable[..., Any], method: Drawn
) -> None:
    norm = nn.BatchNorm2d(2)
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.data.copy_(torch.tensor([0.5, -1.5]))
    network, found = Pooling(nn.Identity()), []
    for shortcut in (Scale(0.5, -1.5), norm):
        network.shortcut = shortcut
        found.append(score(method, bench({"classifier": network}, 1, 4, 4).subject()))
    assert all(torch.allclose(values, found[1][layer], rtol=1e-6) for layer, values in found[0].items())


class Odd(nn.Module):
    """One parameter, `weight`, that is no factor."""

    def __init__(self, what: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.weight, self.what = nn.Parameter(torch.ones(2, 1, 1), requires_grad=False), what

    def forward(self, maps: Tensor) -> Tensor:
        return self.what(maps, self.weight)


@pytest.mark.parametrize(
    "what",
    [
        lambda maps, weight: maps + weight,
        lambda maps, weight: maps * weight**2,
        lambda maps, weight: maps.relu() * weight,
        lambda maps, weight: maps.clamp(max=1) * weight,
    ],
)
def test_one_parameter_that_does_otherwise_than_multiply_is_refused(
    bench: Callable[..., Any], what: Callable[[Tensor, Tensor], Tensor]
) -> None:
    with pytest.raises(TicketlabError, match=r"^shortcut: what a Odd puts on a path is not known"):
        score(PX, bench({"classifier": Pooling(Odd(what))}, 1, 4, 4).subject())


def normalised(norm: nn.Module) -> nn.Sequential:
    """A small network with a layer of normalisation in it; its other weights are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 2), nn.Linear(3, 2)
    return nn.Sequential(layers[0], norm, nn.ReLU(), layers[1], nn.Flatten(), layers[2])


@pytest.mark.parametrize("method", [PX, SynFlow(schedule=PX.schedule)])
def test_normalisation_without_parameters_counts_as_one_of_scale_one(bench: Callable[..., Any], method: Drawn) -> None:
    found = []
    for affine in (True, False):
        norm = nn.BatchNorm2d(2, eps=0.1, affine=affine)
        norm.running_mean.copy_(torch.tensor([0.3, -0.2]))
        norm.running_var.copy_(torch.tensor([0.5, 4.0]))
        found.append(score(method, bench({"classifier": normalised(norm)}, 1, 4, 4).subject()))
    assert all(torch.allclose(values, found[1][layer], rtol=1e-10) for layer, values in found[0].items())


@pytest.mark.parametrize(
    ("norm", "words"),
    [
        (nn.BatchNorm2d(2, track_running_stats=False), "^1: batch normalisation without running statistics"),
        (nn.GroupNorm(1, 2), "^1: what a GroupNorm puts on a path is not known"),
    ],
)
def test_normalisation_that_is_no_factor_on_a_path_is_refused(
    bench: Callable[..., Any], norm: nn.Module, words: str
) -> None:
    with pytest.raises(TicketlabError, match=words):
        score(PX, bench({"classifier": normalised(norm)}, 1, 4, 4).subject())


def test_a_network_that_is_no_sum_over_paths_is_refused(bench: Callable[..., Any]) -> None:
    smooth = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3))
    with pytest.raises(TicketlabError, match="sums over the paths of ReLU networks, and this one has gelu"):
        score(PX, bench({"classifier": smooth}, 1, 2, 3).subject())


def test_single_precision_overflows_where_double_does_not(bench: Callable[..., Any]) -> None:
    deep = nn.Sequential(nn.Flatten(), *(nn.Linear(64, 64) for _ in range(24)))
    made = bench({"classifier": deep}, 1, 8, 8)
    assert all(bool((values > 0).any()) for values in score(PX, made.subject()).values())
    with pytest.raises(Diverged):
        score(PX.model_copy(update={"precision": "float32"}), made.subject())
