"""A network that is told classes is, for every class, a plain network, and its paths are those."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ticketlab.errors import TicketlabError
from ticketlab.made import made as method_of
from ticketlab.models.conditional import ConditionalBatchNorm2d
from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.foresight import NtkSap, Px, SynFlow, SynFlowL2
from ticketlab.tickets.scoring import score

ONCE = Schedule(density=0.5)
CLASSES = 3
Nodes = list[tuple[str, tuple[int, ...]]]


class Told(nn.Module):
    """Noise (B, 2) and classes -> images (B, 1, 2, 2): two convolutions, each after normalisation by class."""

    def __init__(self) -> None:
        super().__init__()
        self.latent = 2
        self.l1 = nn.Linear(2, 8, bias=False)
        self.n1, self.n2 = ConditionalBatchNorm2d(2, CLASSES), ConditionalBatchNorm2d(2, CLASSES)
        self.c1, self.c2 = nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.Conv2d(2, 1, 1, bias=False)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        first = self.n1(self.l1(latents).view(-1, 2, 2, 2), labels).relu()
        return self.c2(self.n2(self.c1(first), labels).relu()).tanh()


class Alone(Told):
    """The plain network of one class."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        first = self.n1(self.l1(latents).view(-1, 2, 2, 2)).relu()
        return self.c2(self.n2(self.c1(first)).relu()).tanh()


def told() -> Told:
    """With statistics, scales and shifts that are not where they start; a scale is negative, another nothing."""
    network, source = Told(), torch.Generator().manual_seed(5)
    for norm in (network.n1, network.n2):
        assert norm.running_var is not None
        assert norm.running_mean is not None
        norm.weight.data.copy_(torch.randn(CLASSES, 2, generator=source))
        norm.bias.data.copy_(torch.randn(CLASSES, 2, generator=source))
        norm.running_mean.copy_(torch.randn(2, generator=source))
        norm.running_var.copy_(0.5 + torch.rand(2, generator=source))
    network.n2.weight.data[1, 0] = 0
    return network.eval()


def alone(network: Told, label: int) -> Told:
    """The plain network that images of one class go through."""
    plain = copy.deepcopy(network)
    plain.__class__ = Alone
    for name in ("n1", "n2"):
        norm: Any = network.get_submodule(name)
        put: Any = nn.BatchNorm2d(2).eval()
        put.weight, put.bias = (nn.Parameter(part[label].detach().clone()) for part in (norm.weight, norm.bias))
        put.running_mean.copy_(norm.running_mean), put.running_var.copy_(norm.running_var)
        setattr(plain, name, put)
    return plain


@torch.no_grad()
def walked(network: Told, latent: Tensor, label: int, power: int) -> dict[str, Tensor]:
    """What every weight of the network has of the sum, over all paths, of products, each path walked by itself.

    PX: products of squared factors, times the activity of the output that the path ends in. Without a latent: products
    of the factors to `power`, all gates open.
    """
    net: Any = copy.deepcopy(network).double()
    factors = [(norm.weight[label] / (norm.running_var + norm.eps).sqrt()).abs().tolist() for norm in (net.n1, net.n2)]
    gates = [torch.ones(2, 2, 2), torch.ones(2, 2, 2)]
    pixels = torch.ones(2)
    if latent.numel():
        which, pixels = torch.tensor([label]), latent.double()
        before = net.n1(net.l1(pixels[None]).view(1, 2, 2, 2), which)
        gates = [(before > 0)[0].double(), (net.n2(net.c1(before.relu()), which) > 0)[0].double()]
    found = {name: torch.zeros_like(net.get_parameter(name)) for name in ("l1.weight", "c1.weight", "c2.weight")}
    activity: dict[int, float] = defaultdict(float)
    paths = []
    for z in range(2):
        for channel, y, x in torch.cartesian_prod(*[torch.arange(2)] * 3).tolist():
            for out, v, u in torch.cartesian_prod(*[torch.arange(2)] * 3).tolist():
                first, second = (4 * channel + 2 * y + x, z), (out, channel, y - v + 1, x - u + 1)
                third = (0, out, 0, 0)
                weights = (net.l1.weight[first], net.c1.weight[second], net.c2.weight[third])
                strength = factors[0][channel] * factors[1][out]
                for weight in weights:
                    strength *= abs(float(weight))
                end = 2 * v + u
                activity[end] += float(gates[0][channel, y, x] * gates[1][out, v, u] * pixels[z] ** 2)
                paths.append((strength**power, end, zip(found, (first, second, third), strict=True)))
    for strength, end, on in paths:
        for name, place in on:
            found[name][place] += strength * (activity[end] if latent.numel() else 1)
    return found


def furthest(scores: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest difference from what is expected, relative to the largest of it."""
    assert scores.keys() == {f"generator.{name}" for name in expected}
    largest = max(float(values.abs().max()) for values in expected.values())
    return max(float((scores[f"generator.{name}"] - values).abs().max()) for name, values in expected.items()) / largest


def summed(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([part[name] for part in parts]).sum(0) for name in parts[0]}


@pytest.fixture
def made(bench: Callable[..., Any]) -> Any:
    """Eight latents of three classes."""
    found = bench({"generator": told()}, 1, 2, 2)
    found.noise = torch.randn(8, 2, generator=torch.Generator().manual_seed(1))
    return found


@pytest.mark.parametrize("sizes", [(8,), (5, 3)])
def test_px_walks_the_paths_of_the_class_of_each_image(made: Any, sizes: tuple[int, ...]) -> None:
    network = made.networks["generator"]
    labels = [int(label) % CLASSES for label in made.labels]
    expected = summed([walked(network, latent, label, 2) for latent, label in zip(made.noise, labels, strict=True)])
    assert furthest(score(Px(schedule=ONCE), made.subject(sizes=sizes)), expected) < 1e-10


@pytest.mark.parametrize(("options", "power"), [(SynFlow(schedule=ONCE), 1), (SynFlowL2(schedule=ONCE), 2)])
def test_synflow_walks_the_paths_of_every_class_once(made: Any, options: Drawn, power: int) -> None:
    network = made.networks["generator"]
    expected = summed([walked(network, torch.empty(0), label, power) for label in range(CLASSES)])
    scores = score(options, made.subject())
    assert furthest(scores, expected) < 1e-10
    flows = [float(scores[f"generator.{name}"].sum()) for name in ("l1.weight", "c1.weight", "c2.weight")]
    assert flows == pytest.approx([flows[0]] * 3, rel=1e-12)


@pytest.mark.parametrize(
    "options", [Px(schedule=ONCE), SynFlow(schedule=ONCE), SynFlow(schedule=ONCE, variant="released")]
)
def test_scores_are_those_of_the_plain_networks_of_the_classes_together(
    made: Any, bench: Callable[..., Any], options: Drawn
) -> None:
    parts = []
    for label in range(CLASSES):
        plain = bench({"generator": alone(made.networks["generator"], label)}, 1, 2, 2)
        chosen = made.labels % CLASSES == label
        plain.noise, plain.labels = made.noise[chosen], made.labels[chosen]
        # Of one class nothing may get through, which `score` would refuse.
        parts.append(method_of(options.made_by)(options, plain.subject()))
    found, expected = score(options, made.subject()), summed(parts)
    assert all(torch.allclose(found[layer], expected[layer], rtol=1e-11) for layer in expected)


@pytest.mark.parametrize("variant", ["px_eval", "px_cvpr24"])
def test_released_scores_tell_the_network_its_classes(made: Any, variant: Any) -> None:
    options = Px(schedule=ONCE, variant=variant)
    found = score(options, made.subject())
    made.labels = made.labels.roll(1)
    assert any(not torch.allclose(found[layer], values) for layer, values in score(options, made.subject()).items())


def test_ntk_sap_starts_all_classes_alike_and_finds_them_alike(made: Any) -> None:
    found = score(NtkSap(schedule=ONCE, draws=1), made.subject())
    assert all(bool(values.any()) for values in found.values())
    made.labels = made.labels.roll(1)
    again = score(NtkSap(schedule=ONCE, draws=1), made.subject())
    assert all(torch.equal(found[layer], values) for layer, values in again.items())


def test_labels_that_are_embedded_are_refused_with_a_way_out(bench: Callable[..., Any]) -> None:
    class Embeds(Told):
        def __init__(self) -> None:
            super().__init__()
            self.gains = nn.Embedding(CLASSES, 2)

    with pytest.raises(TicketlabError, match="gains: what a Embedding puts on a path is not known") as caught:
        score(SynFlow(schedule=ONCE), bench({"generator": Embeds()}, 1, 2, 2).subject())
    assert "ConditionalBatchNorm2d" in caught.value.mend


def test_layers_that_count_classes_otherwise_are_refused(made: Any) -> None:
    made.networks["generator"].n2 = ConditionalBatchNorm2d(2, CLASSES + 1)
    with pytest.raises(TicketlabError, match="tell 3 and 4 classes apart"):
        score(SynFlow(schedule=ONCE), made.subject())
