"""Scores, masks and tickets of networks at hand: what the lab's own rounds give, and nothing of the network changes."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ticketlab
from ticketlab.errors import TicketlabError
from ticketlab.randomness import Key
from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.foresight import Px, Snip, SynFlow
from ticketlab.spec.probed import Probe
from ticketlab.spec.ticket import Magnitude, Random, Ticket
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.prune import draw_ticket, mask_from_scores, scores
from ticketlab.tickets.scoring import score

HALF = Schedule(density=0.5)
METHODS: list[type[Drawn]] = [member for member in Ticket.members() if issubclass(member, Drawn)]
NEED_LABELS = ("snip", "grasp")
NEED_IMAGES = (*NEED_LABELS, "synflow", "synflow_l2", "ntk_sap", "px")


class Small(nn.Module):
    """Batch normalisation, dropout, a frozen layer, a list of layers that is no ModuleList, and every mode at once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 8, 3, 2, padding=1), nn.BatchNorm2d(8)
        self.dropout, self.fc = nn.Dropout(0.5), nn.Linear(8, 10)
        self.stages = [(self.conv1, self.bn1), (self.conv2, self.bn2)]

    def forward(self, images: Tensor) -> Tensor:
        for conv, norm in self.stages:
            images = F.relu(norm(conv(images)))
        return self.fc(self.dropout(images.mean((2, 3))))


def settings() -> Iterator[Any]:
    """Every method as it is by default, and with each other word that one of its own fields allows."""
    for method in METHODS:
        plain = method(schedule=Schedule(rounds=2, density=0.4))
        yield pytest.param(plain, id=plain.name)
        for name, field in method.model_fields.items():
            words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            for word in sorted(set(words) - {field.default}) if name in ("mode", "variant", "precision") else ():
                yield pytest.param(plain.model_copy(update={name: word}), id=f"{plain.name}-{word}")


@pytest.fixture
def network() -> nn.Module:
    """A network in the middle of a training: in train mode but for one layer, with gradients, hooks, a frozen layer."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        made = Small()
        made(images()).sum().backward()
    made.conv2.requires_grad_(False)
    made.bn2.eval()
    made.conv1.register_forward_hook(lambda module, given, result: result * 1.01)
    return made


def images(count: int = 7) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


LABELS = torch.arange(7)


def facts(network: nn.Module) -> list[Any]:
    """All that scoring could change; tensors as copies, objects by their identity."""
    found: list[Any] = [torch.get_rng_state(), torch.from_numpy(np.random.get_state()[1].copy()), random.getstate()]
    for parameter in network.parameters():
        grad = torch.zeros(0) if parameter.grad is None else parameter.grad.clone()
        found += [id(parameter), parameter.detach().clone(), parameter.dtype, parameter.requires_grad, grad]
    found += [value.clone() for value in network.buffers()]
    for module in network.modules():
        found += [id(module), module.training, list(module._forward_hooks), list(module._forward_pre_hooks)]
        found += [list(vars(module)), list(module._backward_hooks)]
    return [*found, torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch._C._len_torch_function_stack()]


def same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("options", list(settings()))
def test_every_method_leaves_the_network_as_it_is_and_scores_as_the_lab_does(
    options: Drawn, network: nn.Module, bench: Callable[..., Any]
) -> None:
    before = facts(network)
    found = scores(options, network, images(), LABELS, seed=3)
    ticket = draw_ticket(options, network, images(), LABELS, seed=3)
    assert same(before, facts(network))
    # By hand: a deep copy in eval mode, masked; the bench knows nothing of the functions under test.
    apart = bench({"classifier": copy.deepcopy(network)}, 3, 8, 8)
    apart.images, apart.labels = images(), LABELS
    mask = apart.dense
    for number in (1, 2):
        key = Key(3).of("draw", number)
        expected = score(options, apart.subject(mask, key=key))
        assert number == 2 or all(torch.equal(found[layer], values) for layer, values in expected.items())
        mask = mask_from_scores(options, expected, mask=mask, round=number)
    assert list(found) == ["classifier.conv1.weight", "classifier.conv2.weight", "classifier.fc.weight"]
    assert mask == ticket
    assert any(bool(values.any()) for values in found.values())


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_fails_half_way_leaves_the_network_as_it_is(method: type[Drawn], network: nn.Module) -> None:
    calls: list[nn.Module] = []

    def breaks(module: nn.Module, given: Any) -> None:
        calls.append(module)
        raise RuntimeError("broken")

    network.fc.register_forward_pre_hook(breaks)
    before = facts(network)
    options = method(schedule=HALF)
    if options.name in NEED_IMAGES:
        with pytest.raises(RuntimeError, match="broken"):
            scores(options, network, images(), LABELS)
        assert all(module is not network.fc for module in calls)
    else:
        scores(options, network)
        assert calls == []
    assert same(before, facts(network))


@pytest.mark.parametrize("switched", [torch.no_grad, torch.inference_mode])
def test_it_does_not_matter_whether_the_caller_takes_derivatives(switched: Any, network: nn.Module) -> None:
    given = images()
    expected = scores(Snip(schedule=HALF), network, given, LABELS)
    with switched():
        found = scores(Snip(schedule=HALF), network, given, LABELS)
    assert all(torch.equal(values, expected[layer]) for layer, values in found.items())


def test_scores_under_a_mask_are_zero_where_it_prunes(network: nn.Module) -> None:
    mask = draw_ticket(Random(schedule=HALF), network)
    found = scores(Px(schedule=HALF), network, images(), mask=mask)
    assert all(not values[~mask[layer]].any() for layer, values in found.items())


def test_batches_are_as_large_as_the_probe_says_and_sums_do_not_depend_on_it(network: nn.Module) -> None:
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    network.bn1.eval()
    whole = scores(Snip(schedule=HALF, precision="float64"), network, images(), LABELS)
    parts = scores(Snip(schedule=HALF, precision="float64", probe=Probe(batch=3)), network, images(), LABELS)
    assert sizes == [7, 3, 4]
    assert all(torch.allclose(values, parts[layer], rtol=1e-10) for layer, values in whole.items())


def test_generator_and_critic_are_scored_on_what_each_is_given_by_losses_of_their_own(
    bench: Callable[..., Any],
) -> None:
    made = bench("sngan")
    both = Snip(schedule=HALF, networks=("generator", "critic"))
    apart = Snip(schedule=HALF, networks=("critic",))
    given = {"generator": made.noise, "critic": made.images}

    def hinge(networks: Any, entering: Any, labels: Tensor | None) -> dict[str, Tensor]:
        assert labels is None
        fake = networks["generator"](*entering["generator"])
        judged, real = networks["critic"](fake), networks["critic"](*entering["critic"])
        told = networks["critic"](fake.detach())
        return {"generator": -judged.mean(), "critic": F.relu(1 - real).mean() + F.relu(1 + told).mean()}

    found = scores(both, made.networks, given, losses=hinge)
    expected = score(both, made.subject())
    assert list(found) == list(expected)
    assert all(torch.allclose(values, expected[layer], rtol=1e-5, atol=1e-9) for layer, values in found.items())
    assert list(scores(apart, made.networks, given, losses=hinge)) == [one for one in found if one.startswith("critic")]
    assert set(draw_ticket(SynFlow(schedule=HALF), made.networks, given)) == {
        one for one in found if one.startswith("generator")
    }


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ({}, {"net.a.weight": 0, "net.b.weight": 16}),
        ({"scope": "layer"}, {"net.a.weight": 8, "net.b.weight": 8}),
        ({"scope": "erk"}, {"net.a.weight": 9, "net.b.weight": 7}),
        ({"structure": "channels"}, {"net.a.weight": 0, "net.b.weight": 16}),
        ({"structure": {"kind": "n_of_m", "n": 2, "m": 4}}, {"net.a.weight": 8, "net.b.weight": 8}),
        ({"schedule": {"density": {"linear": 0.25}}}, {"net.a.weight": 16, "net.b.weight": 4}),
    ],
)
def test_a_mask_has_the_scope_the_structure_and_the_density_of_its_options(
    choice: dict[str, Any], kept: dict[str, int]
) -> None:
    given = {"net.a.weight": torch.arange(16.0).view(1, 4, 4, 1), "net.b.weight": 100 + torch.arange(16.0).view(4, 4)}
    options = Magnitude.model_validate({"schedule": {"density": 0.5}, **choice})
    mask = mask_from_scores(options, given)
    assert mask.layer_kept() == kept
    again = mask_from_scores(options, {layer: -values for layer, values in given.items()}, mask=mask)
    assert again == mask


@pytest.mark.parametrize("options", [method(schedule=HALF) for method in METHODS], ids=lambda one: one.name)
def test_what_a_method_lacks_is_said(options: Drawn, network: nn.Module) -> None:
    if options.name in NEED_LABELS:
        with pytest.raises(TicketlabError, match=f"{options.name} derives a loss, and there are no labels") as caught:
            scores(options, network, images())
        assert "labels" in caught.value.mend
    else:
        given = images() if options.name in NEED_IMAGES else None
        assert all(
            torch.equal(values, scores(options, network, given)[layer])
            for layer, values in scores(options, network, given, LABELS).items()
        )
    if options.name in NEED_IMAGES:
        with pytest.raises(TicketlabError, match=f"{options.name} looks at images"):
            scores(options, network, labels=LABELS)
    with pytest.raises(TicketlabError, match="no conv or linear layer that may be pruned in classifier"):
        scores(options, nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), images(), LABELS)
    with pytest.raises(TicketlabError, match="no network is called critic\n  -> networks: classifier"):
        scores(options.model_copy(update={"networks": ("critic",)}), network, images(), LABELS)


def test_other_names_shapes_and_counts_are_said(network: nn.Module) -> None:
    one = Snip(schedule=HALF)
    with pytest.raises(TicketlabError, match=r"the mask is not one of these weights; they differ in classifier\.conv1"):
        scores(one, network, images(), LABELS, mask=Mask.dense({"classifier.conv1.weight": (2, 2)}))
    with pytest.raises(TicketlabError, match="images are given for generator, and the networks are classifier"):
        scores(one, network, {"generator": images()}, LABELS)
    with pytest.raises(TicketlabError, match="images and labels are not equally many: 7, 6"):
        scores(one, network, images(), LABELS[1:])
    with pytest.raises(TicketlabError, match="derives the losses of a, b, which cross-entropy is not"):
        scores(one, {"a": network, "b": network}, images(), LABELS)
    with pytest.raises(TicketlabError, match="cannot keep 2 of 1 weights"):
        mask_from_scores(
            one,
            {"a.b": torch.ones(2, 2)},
            mask=Mask({"a.b": torch.eye(2, dtype=torch.bool)[:, [0, 0]] & torch.eye(2, dtype=torch.bool)}),
        )
    with pytest.raises(TicketlabError, match="floating point"):
        mask_from_scores(one, {"a.b": torch.ones(2, 2, dtype=torch.int64)})
    with pytest.raises(TicketlabError, match="computed from other parameters"):
        scores(one, torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)), torch.ones(2, 4), LABELS[:2])


def test_they_are_had_from_the_package_itself() -> None:
    assert (ticketlab.scores, ticketlab.mask_from_scores, ticketlab.draw_ticket) == (
        scores,
        mask_from_scores,
        draw_ticket,
    )
    with pytest.raises(AttributeError, match="no attribute 'score'"):
        ticketlab.score  # noqa: B018
