"""The kinds of label a dataset can have, by name; what is done with each is in `ticketlab.datasets.labels`."""

from __future__ import annotations

from typing import Literal

LabelKind = Literal["class", "map"]
"""class: one class per image. map: one class per pixel, or none."""

UNLABELLED = 255
"""What stands in a label map where no class is known; such pixels count nowhere."""
