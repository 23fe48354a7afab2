"""Names that a plan and the code that performs it must agree on: roles of inputs, and a file.

They are apart from the steps, so that the code of a step does not rest on how it is planned.
"""

from __future__ import annotations

PRETRAINED = "pretrained"
"""The role of the `Start` step, or of the `Head` step after it: tensors that take the place of initial values."""

REWOUND = "rewound"
"""The role of the training whose weights, early or last, another training goes on from."""

PREPARED = "prepared.safetensors"
"""The file in which a step leaves what an objective made once of the real images."""
