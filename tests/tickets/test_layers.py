"""What is left of each layer, and what that costs, is counted from the mask, exactly, and is read as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ticketlab.errors import CorruptFile
from ticketlab.tickets.layers import Layers
from ticketlab.tickets.mask import Mask

MASK = Mask(
    {
        "net.conv.weight": torch.arange(54).view(3, 2, 3, 3) % 9 == 0,
        "net.fc.weight": torch.arange(20).view(4, 5) < 7,
        "other.fc.weight": torch.zeros(2, 2, dtype=torch.bool),
    }
)
DENSE = {
    "net.stem.weight": 1000,
    "net.conv.weight": 54 * 64,
    "net.fc.weight": 20,
    "other.fc.weight": 4,
    "odd.fc.weight": 0,
}


def test_a_layer_costs_what_it_keeps_at_every_place_of_its_output_and_one_without_mask_everything() -> None:
    found = Layers(dense_multiply_adds=DENSE).after(MASK, 3)
    assert found.multiply_adds == {
        "net.stem.weight": 1000,
        "net.conv.weight": 6 * 64,
        "net.fc.weight": 7,
        "other.fc.weight": 0,
        "odd.fc.weight": 0,
    }
    assert found.network_multiply_adds == {"net": (1391, 4476), "other": (0, 4)}
    assert found.collapsed == {"other.fc.weight": 3}
    assert Layers().after(MASK, 1).network_multiply_adds == {}


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    written = Layers(dense_multiply_adds=DENSE).after(MASK, 3)
    written.write(path)
    assert Layers.read(path) == written
    assert json.loads(path.read_bytes())["multiply_adds"]["net.conv.weight"] == {"dense": 3456, "kept": 384}
    for content in (
        '{"layers": {}, "collapsed": {}, "multiply_adds": {"net.a": 3}}',
        '{"layers": {}, "collapsed": {"net.a": 1e999}, "multiply_adds": {}}',
        "[" * 200_000,
    ):
        path.write_text(content)
        with pytest.raises(CorruptFile, match="not the layers of a ticket"):
            Layers.read(path)
