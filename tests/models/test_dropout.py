"""Dropout drops what its key says: keyed, scaled, silent in evaluation, and a training with it resumes exactly."""

import copy

import pytest
import torch
from torch import nn

from ticketlab.models.dropout import KeyedDropout, set_keys
from ticketlab.randomness import Key

KEY = Key(3).of("dropout", 7)


def dropout(share=0.3, key=KEY):
    layer = KeyedDropout(share)
    layer.key = key
    return layer


def network():
    return nn.Sequential(nn.Linear(4, 6), KeyedDropout(0.5), nn.Linear(6, 6), KeyedDropout(0.5))


def test_what_is_kept_is_scaled_and_the_share_is_dropped():
    values = torch.randn(200, 500).double() + 5
    out = dropout()(values)
    kept = out != 0
    torch.testing.assert_close(out[kept], values[kept] / 0.7)
    # Four standard deviations of the share of 100,000 independent draws.
    assert 1 - kept.double().mean().item() == pytest.approx(0.3, abs=4 * (0.21 / 1e5) ** 0.5)
    assert kept.double().mean(0).std().item() == pytest.approx((0.21 / 200) ** 0.5, rel=0.15)
    assert kept.double().mean(1).std().item() == pytest.approx((0.21 / 500) ** 0.5, rel=0.2)


def test_gradients_flow_through_what_is_kept():
    values = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    out = dropout()(values)
    out.sum().backward()
    torch.testing.assert_close(values.grad, (out != 0).double() / 0.7)
    assert torch.autograd.gradgradcheck(dropout(), values)


def test_the_key_alone_decides_what_is_dropped():
    values = torch.ones(50, 50)
    once, other = dropout()(values), dropout(key=Key(3).of("dropout", 8))(values)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(dropout()(values), once)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(once, other)


def test_layout_and_precision_do_not_change_what_is_dropped():
    values = torch.ones(2, 6, 5, 5)
    expected = dropout()(values) != 0
    assert torch.equal(dropout()(values.contiguous(memory_format=torch.channels_last)) != 0, expected)
    half = dropout()(values.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.equal(half != 0, expected)


def test_evaluation_and_a_share_of_nothing_leave_values_alone_without_a_key():
    values = torch.randn(3, 4)
    assert dropout(key=None).eval()(values) is values
    assert dropout(share=0.0, key=None)(values) is values


def test_training_without_a_key_is_an_error_of_the_programmer():
    with pytest.raises(AssertionError, match="key"):
        dropout(key=None)(torch.ones(2))


def test_every_dropout_of_a_network_has_an_address_of_its_own():
    net = network()
    set_keys(net, KEY)
    assert [net[1].key, net[3].key] == [KEY.of("1"), KEY.of("3")]
    ones = torch.ones(20, 20)
    assert not torch.equal(net[1](ones), net[3](ones))


def test_a_copy_of_a_network_has_keys_of_its_own():
    net = network()
    set_keys(net, KEY)
    other = copy.deepcopy(net)
    set_keys(other, Key(0))
    assert net[1].key == KEY.of("1")
    assert not net.state_dict().keys() - {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_a_compiled_network_drops_the_same_and_is_compiled_once():
    from torch._dynamo.testing import CompileCounter

    net, counter = network(), CompileCounter()
    compiled = torch.compile(net, backend=counter)
    values = torch.randn(5, 4)
    frames = set()
    for step in range(12):
        set_keys(net, KEY.of(step))
        assert torch.equal(compiled(values), net(values))
        frames.add(counter.frame_count)
    assert len(frames) == 1
