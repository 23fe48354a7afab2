"""Equal tensors under equal names have one digest, however they lie in memory; anything else has another."""

from __future__ import annotations

import hashlib

import torch

from ticketlab.tensors import content_digest


def test_the_digest_is_that_of_names_types_shapes_and_bytes() -> None:
    tensors = {"b": torch.tensor([1, 2], dtype=torch.int16), "a": torch.tensor(0.5)}
    spelled = b'["a","torch.float32",[]]' + b"\x00\x00\x00\x3f" + b'["b","torch.int16",[2]]' + b"\x01\x00\x02\x00"
    assert content_digest(tensors) == hashlib.sha256(spelled).hexdigest()
    assert content_digest({}) == hashlib.sha256(b"").hexdigest()


def test_order_layout_and_gradients_do_not_count() -> None:
    image = torch.arange(48.0).reshape(1, 3, 4, 4)
    digest = content_digest({"x": image, "y": torch.zeros(0)})
    assert content_digest({"y": torch.zeros(0), "x": image}) == digest
    assert content_digest({"x": image.to(memory_format=torch.channels_last), "y": torch.zeros(0)}) == digest
    assert content_digest({"x": image.clone().requires_grad_(), "y": torch.zeros(0)}) == digest
    assert content_digest({"x": image.mT.contiguous().mT, "y": torch.zeros(0)}) == digest


def test_name_type_shape_and_every_bit_count() -> None:
    one = torch.tensor([1.0, 0.0])
    others = [
        {"x": torch.tensor([1.0, -0.0])},
        {"x": torch.tensor([1.0, torch.finfo(torch.float32).smallest_normal])},
        {"x": one.double()},
        {"x": one.view(torch.int32)},
        {"x": one.reshape(2, 1)},
        {"y": one},
        {"x": one, "y": torch.zeros(0)},
        {"x": one[:1], "y": one[1:]},
    ]
    assert len({content_digest(tensors) for tensors in [{"x": one}, *others]}) == 1 + len(others)
