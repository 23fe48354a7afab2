"""What only reads a spec starts without the heavy libraries; times are shown, not judged."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "numpy", "mlflow", "dvc", "matplotlib", "PIL", "scipy", "safetensors")

COMMAND = f"""
import sys
from ticketlab.cli.main import main
sys.argv = ["ticketlab", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    code = end.code
else:
    code = 0
loaded = sorted(set({HEAVY!r}) & set(sys.modules))
print("loaded:", *loaded)
sys.exit(code)
"""

PAGE = """\
name: demo
data: {dataset: fashion-mnist-mini}
model: {kind: lenet}
ticket: {method: magnitude, schedule: {rounds: 3, rate: 0.5}}
train: {objective: cross_entropy, steps: 10}
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["run", "--help"], 0),
        (["validate", "page.yaml"], 0),
        (["validate", "page.yaml", "--set", "train.steps=-1"], 2),
        (["methods"], 0),
        (["schema"], 0),
        (["datasets"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_only_reads_imports_nothing_heavy(
    arguments: list[str], code: int, tmp_path: Path, record_property: pytest.FixtureRequest
) -> None:
    (tmp_path / "page.yaml").write_text(PAGE)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    record_property("seconds", round(time.perf_counter() - started, 3))  # type: ignore[operator]
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("module", ["ticketlab", "ticketlab.spec.loading", "ticketlab.plan.experiment"])
def test_a_module_for_reading_specs_imports_nothing_heavy(module: str, tmp_path: Path) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
