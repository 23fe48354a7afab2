"""Every test runs as on a machine of its own: two workers share two cores, and no setting or server of the developer's counts."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ticketlab.tracking.store import QUIET

_OF_THE_DEVELOPER = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID")
_OF_A_DVC_STAGE = ("DVC_ROOT", "DVC_STAGE")

for name in (*_OF_THE_DEVELOPER, *_OF_A_DVC_STAGE):
    os.environ.pop(name, None)

# Before torch is imported. A run still sets the threads its spec asks for.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.update(QUIET)
# Processes that tests start share what one of them compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_aside = tempfile.TemporaryDirectory(prefix="ticketlab-tests-")
"""Removed when the process ends; each worker of pytest-xdist has one."""

os.environ.update(
    DVC_NO_ANALYTICS="1",
    DVC_GLOBAL_CONFIG_DIR=str(Path(_aside.name, "dvc-config")),
    DVC_SITE_CACHE_DIR=str(Path(_aside.name, "dvc-cache")),
    # Commits in repositories that tests make: no name, key or hook of the developer's.
    GIT_AUTHOR_NAME="a test",
    GIT_AUTHOR_EMAIL="test@example.org",
    GIT_COMMITTER_NAME="a test",
    GIT_COMMITTER_EMAIL="test@example.org",
    GIT_CONFIG_COUNT="1",
    GIT_CONFIG_KEY_0="commit.gpgSign",
    GIT_CONFIG_VALUE_0="false",
)


@pytest.fixture(autouse=True)
def arithmetic_of_a_fresh_process() -> Iterator[None]:
    """What `ticketlab.run.device.arrange` sets for a process is taken back after a test, so that their order is free.

    Networks that a test builds of torch's own layers start as they do in any other order: a few seeds give dead ones.
    """
    if hasattr(sys.modules.get("torch"), "manual_seed"):
        sys.modules["torch"].manual_seed(0)
    yield
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_flush_denormal"):
        torch.set_flush_denormal(False)
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(1)


WORDNET = ("n01440764", "n01443537", "n02105855")


def _photographs(root: Path, train: int = 6, test: int = 2, classes: tuple[str, ...] = WORDNET) -> Path:
    """`root` with train/<class>/ and val/<class>/: so many JPEG files per class, of many shapes, one gray, one CMYK, one PNG."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0)
    for label, name in enumerate(classes):
        for split, count in (("train", train), ("val", test)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = noise.integers(24, 80, 2)
                small = noise.integers(0, 256, (5, 5, 3), dtype=np.uint8) // 2 + np.uint8(40 * label)
                picture = Image.fromarray(small).resize((int(width), int(height)), Image.Resampling.BICUBIC)
                path = folder / (f"{name}_{number}.JPEG" if split == "train" else f"ILSVRC2012_val_{number:08d}.JPEG")
                if (split, label, number) == ("train", 0, 1):
                    picture = picture.convert("L")
                elif (split, label, number) == ("train", 1, 0):
                    picture = picture.convert("CMYK")
                # n02105855_2933.JPEG of the original is a PNG.
                is_png = (split, label, number) == ("train", 2, 2)
                picture.save(path, format="PNG" if is_png else "JPEG")
    (root / "train" / classes[0] / "notes.txt").write_text("not a picture")
    return root


@pytest.fixture
def photographs() -> Callable[..., Path]:
    """Makes folders of photographs in the layout of ImageNet."""
    return _photographs
