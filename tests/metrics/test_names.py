"""One legal, honest name per metric."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from ticketlab.metrics import names


def test_distances_are_named_after_their_extractor_and_its_features() -> None:
    assert names.frechet_key("randconv-s0", 256) == "fd_randconv-s0_256"
    assert names.kernel_key("randconv-s0", 256) == "mmd3_randconv-s0_256"


@pytest.mark.parametrize("key", [*names.PRDC, names.LOSS, names.ACCURACY, names.frechet_key("lab.x_1-y", 3)])
def test_a_key_is_legal_for_mlflow_and_none_is_the_density_of_a_ticket(key: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,250}", key)
    assert key != "density"


@pytest.mark.parametrize("extractor", ["", "a b", "a/b", "-a", "a:b"])
def test_an_extractor_that_would_break_a_key_is_refused(extractor: str) -> None:
    with pytest.raises(ValueError, match="part of a metric's key"):
        names.frechet_key(extractor, 3)


def test_names_do_not_import_torch() -> None:
    code = "import sys, ticketlab.metrics.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
