"""Masked weights stay exactly zero while a network trains, whatever the optimiser does or remembers."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from ticketlab.randomness import Key
from ticketlab.tickets.apply import MaskedWeights
from ticketlab.tickets.controls import random_like
from ticketlab.tickets.mask import Mask

OPTIMISERS: dict[str, Callable[[list[nn.Parameter]], Optimizer]] = {
    "sgd_nesterov_decay": lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-2),
    "adam_l2": lambda p: Adam(p, lr=1e-2, betas=(0.9, 0.99), weight_decay=1e-2),
    "adamw": lambda p: AdamW(p, lr=1e-2, weight_decay=1e-1),
}
every_optimiser = pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=OPTIMISERS)


def network() -> nn.Module:
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4), nn.Linear(4, 1)
    )
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.3)
    return module.to(memory_format=torch.channels_last)


def prunable(module: nn.Module) -> dict[str, Tensor]:
    return {f"net.{name}": weight for name, weight in module.named_parameters() if weight.ndim > 1}


def some_mask(module: nn.Module) -> Mask:
    layers = {
        name: torch.arange(weight.numel()).reshape(weight.shape) % 3 == 0 for name, weight in prunable(module).items()
    }
    layers["net.5.weight"] = torch.ones_like(layers["net.5.weight"])
    return random_like(Mask(layers), Key(0))


BATCHES = torch.randn(16, 4, 2, 3, 3, generator=torch.Generator().manual_seed(1))


def gradients_of_batch(module: nn.Module, step: int) -> None:
    images = BATCHES[step % 16].to(memory_format=torch.channels_last)
    module.zero_grad(set_to_none=True)
    (module(images) - images.mean(dim=(1, 2, 3))[:, None]).square().mean().backward()


def zero_where_pruned(tensors: dict[str, Tensor], pruned: dict[str, Tensor]) -> bool:
    return not any(bool((tensors[name].detach() * gone).count_nonzero()) for name, gone in pruned.items())


@every_optimiser
def test_a_thousand_steps_leave_masked_weights_gradients_and_averages_at_zero(
    optimiser: Callable[[list[nn.Parameter]], Optimizer],
) -> None:
    module = network()
    mask = some_mask(module)
    pruned = {name: ~kept for name, kept in mask.items()}
    held = MaskedWeights(prunable(module), mask)
    held.impose()
    average = copy.deepcopy(module)
    start = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    update = optimiser(list(module.parameters()))
    weights, averages = prunable(module), prunable(average)
    for step in range(1000):
        gradients_of_batch(module, step)
        held.mask_gradients()
        assert zero_where_pruned({name: weight.grad for name, weight in weights.items()}, pruned)
        update.step()
        held.impose()
        assert zero_where_pruned(weights, pruned)
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 0.01)
    assert zero_where_pruned(averages, pruned)
    for name, weight in weights.items():
        moments = [value for value in update.state[weight].values() if torch.is_tensor(value) and value.ndim]
        assert moments
        assert all(zero_where_pruned({name: moment}, {name: pruned[name]}) for moment in moments)
    for name, weight in module.named_parameters():
        kept = mask[f"net.{name}"] if f"net.{name}" in mask else torch.ones(weight.shape, dtype=torch.bool)
        assert not torch.equal(weight[kept], start[name][kept])


@every_optimiser
def test_momentum_from_before_the_mask_cannot_move_masked_weights(
    optimiser: Callable[[list[nn.Parameter]], Optimizer],
) -> None:
    module = network()
    update = optimiser(list(module.parameters()))
    for step in range(20):
        gradients_of_batch(module, step)
        update.step()
    mask = some_mask(module)
    pruned = {name: ~kept for name, kept in mask.items()}
    held = MaskedWeights(prunable(module), mask)
    held.impose()
    for step in range(20, 60):
        gradients_of_batch(module, step)
        held.mask_gradients()
        update.step()
        held.impose()
        assert zero_where_pruned(prunable(module), pruned)


def test_an_average_begun_before_the_mask_is_held_by_the_same_means() -> None:
    average = {"net.w": torch.full((3,), 2.0)}
    MaskedWeights(average, Mask({"net.w": torch.tensor([True, False, True])})).impose()
    assert average["net.w"].tolist() == [2.0, 0.0, 2.0]


def test_kept_weights_and_gradients_are_untouched_to_the_bit() -> None:
    module = network()
    mask = some_mask(module)
    gradients_of_batch(module, 0)
    before = {name: (weight.detach().clone(), weight.grad.clone()) for name, weight in prunable(module).items()}
    held = MaskedWeights(prunable(module), mask)
    held.mask_gradients()
    held.impose()
    for name, weight in prunable(module).items():
        assert torch.equal(weight[mask[name]], before[name][0][mask[name]])
        assert torch.equal(weight.grad[mask[name]], before[name][1][mask[name]])


def test_missing_gradients_are_passed_over_and_a_dense_mask_does_nothing() -> None:
    weight = nn.Parameter(torch.ones(2))
    frozen = MaskedWeights({"net.w": weight}, Mask({"net.w": torch.tensor([True, False])}))
    frozen.mask_gradients()
    assert weight.grad is None
    dense = MaskedWeights({"net.w": weight}, Mask.dense({"net.w": (2,)}))
    dense.impose()
    dense.mask_gradients()
    assert weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("tensors", [{}, {"net.w": torch.zeros(3)}])
def test_a_layer_without_its_tensor_is_refused(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match="no tensor of shape"):
        MaskedWeights(tensors, Mask.dense({"net.w": (2,)}))
