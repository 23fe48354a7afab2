from collections.abc import Callable
from pathlib import Path

import pytest

from ticketlab.errors import SpecError
from ticketlab.spec.loading import LoadedSpec, load

PAGE = """\
name: demo
seed: 0
data:
  dataset: fashion-mnist
  ratio: 0.1
model: {kind: sngan, width: 64}
ticket:
  method: magnitude
  schedule: {rounds: 10, rate: 0.2}
train:
  objective: hinge
  steps: 100
  augment: [{kind: diffaugment}]
"""


@pytest.fixture(scope="session")
def page() -> str:
    """A valid spec without a matrix."""
    return PAGE


@pytest.fixture
def accepted(tmp_path: Path) -> Callable[..., LoadedSpec]:
    """Loads a text as `x.yaml`, with overrides."""

    def loaded(text: str | bytes, *overrides: str, **options: object) -> LoadedSpec:
        file = tmp_path / "x.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(file, overrides, **options)  # type: ignore[arg-type]

    return loaded


@pytest.fixture
def refused(accepted: Callable[..., LoadedSpec], tmp_path: Path) -> Callable[..., str]:
    """The screen a user sees for a text that is refused, its folder left out."""

    def screen(text: str | bytes, *overrides: str, **options: object) -> str:
        with pytest.raises(SpecError) as caught:
            accepted(text, *overrides, **options)
        assert caught.value.exit_code == 2
        return str(caught.value).replace(f"{tmp_path}/", "")

    return screen
