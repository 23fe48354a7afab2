"""Inside `unmoved_state` forwards leave no trace in buffers, compute as in training mode, and gradients flow."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ticketlab.models.spectral import SpectralConv2d, SpectralLinear
from ticketlab.models.unmoved import unmoved_state


def network() -> nn.Module:
    """Batch norm, the lab's spectral layers, and both of torch's."""
    torch.manual_seed(0)
    made = nn.Sequential(
        SpectralConv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.utils.spectral_norm(nn.Conv2d(4, 4, 1)),
        nn.BatchNorm2d(4, momentum=None),
        nn.Flatten(),
        nn.utils.parametrizations.spectral_norm(nn.Linear(16, 8)),
        SpectralLinear(8, 2),
    )
    for layer in made:
        if isinstance(layer, SpectralConv2d | SpectralLinear):
            nn.init.normal_(layer.weight_orig)
            nn.init.normal_(layer.weight_u)
            nn.init.normal_(layer.weight_v)
    return made.train()


IMAGES = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def buffers(of: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in of.named_buffers()}


def changed(of: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in of.named_buffers() if not torch.equal(value, before[name])}


def test_no_buffer_moves_inside_and_all_move_again_after_it() -> None:
    made = network()
    before = buffers(made)
    with unmoved_state(made):
        for _ in range(3):
            made(IMAGES)
    assert changed(made, before) == set()
    made(IMAGES)
    assert changed(made, before) == set(before)


def test_gradients_reach_images_and_weights() -> None:
    made = network()
    made(IMAGES)
    images = IMAGES.clone().requires_grad_()
    with unmoved_state(made):
        made(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_normalisation_is_by_the_batch_as_in_training() -> None:
    layer = nn.BatchNorm2d(3).train()
    layer.running_mean += 7.0
    expected = nn.functional.batch_norm(IMAGES, None, None, layer.weight, layer.bias, training=True, eps=layer.eps)
    with unmoved_state(layer):
        assert torch.equal(layer(IMAGES), expected)


def test_in_eval_mode_nothing_is_different() -> None:
    made = network()
    made(IMAGES)
    expected = made.eval()(IMAGES)
    with unmoved_state(made):
        assert torch.equal(made(IMAGES), expected)
    assert not any(layer.training for layer in made.modules())


def test_a_spectral_layer_computes_with_the_vectors_it_has() -> None:
    layer = network()[6]
    with torch.no_grad():
        expected = layer.eval()(torch.ones(1, 8))
    layer.train()
    with unmoved_state(layer):
        assert torch.equal(layer(torch.ones(1, 8)), expected)


def test_modes_and_tracking_come_back_after_an_error_and_are_not_shared_with_what_was_off() -> None:
    made = network()
    made[1].track_running_stats = False
    made[6].eval()
    modes = [(layer.training, getattr(layer, "track_running_stats", None)) for layer in made.modules()]
    with pytest.raises(KeyError), unmoved_state(made, network()):
        raise KeyError
    assert [(layer.training, getattr(layer, "track_running_stats", None)) for layer in made.modules()] == modes
