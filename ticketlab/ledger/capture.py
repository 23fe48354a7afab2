"""Looking at what a run depends on besides its spec and data: the code, the packages, the machine, torch's switches.

Nothing here reads environment variables into a record, names the host or the user, or keeps a path of this machine.
"""

from __future__ import annotations

import os
import platform
import tempfile
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import ticketlab
from ticketlab.cores import available_cores, cpu_model
from ticketlab.files import canonical_json, sha256_file
from ticketlab.ledger.blobs import keep
from ticketlab.ledger.facts import Blob, Code
from ticketlab.ledger.git import Repository

LARGEST_BLOB = 16 * 2**20
"""Bytes of a patch that are kept; of a larger one only digest and size are."""

Facts = dict[str, Any]


def code(project: Path, package: Path | None = None) -> Code:
    """The code at hand, the patch of a dirty tree kept in `.ticketlab/blobs/<sha256>` of the project.

    `package` is the folder of the source that runs, by default ticketlab itself. The digest is that of the list of
    its files, which is kept as a blob too. Git is asked of the project, in the working tree that holds `package` if it is
    another, as when recorded code runs; outside git, and where git cannot be asked, that is all there is.
    EnvironmentProblem if git is there and fails.
    """
    package = (package or Path(ticketlab.__file__).parent).resolve()
    listed = canonical_json(sources(package))
    digest = keep(project, listed)
    repository = Repository.of_code(package, project)
    if repository is None:
        return Code(digest)
    with tempfile.TemporaryDirectory() as scratch:
        patch = Path(scratch, "patch")
        state = repository.working_state(package, patch)
        return Code(digest, state.commit, state.tree, _blob(project, patch) if state.dirty else None)


def sources(package: Path) -> dict[str, str]:
    """The sha256 of every Python source below a package's folder, by its path relative to the folder around it."""
    found = sorted(path for path in package.rglob("*.py") if "__pycache__" not in path.parts)
    return {path.relative_to(package.parent).as_posix(): sha256_file(path) for path in found}


def packages() -> dict[str, str]:
    """The version of every installed distribution by its normalised name, sorted; the one imported first wins.

    They are those of this process: what is installed while it runs is not looked at.
    """
    return dict(_packages())


@cache
def _packages() -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for one in distributions():
        about = one.metadata
        if about["Name"]:
            found.setdefault(about["Name"].lower().replace("_", "-").replace(".", "-"), about["Version"])
    return tuple(sorted(found.items()))


def machine(device: str = "cpu") -> Facts:
    """Operating system, processor, memory (bytes), Python, and what torch computes on; `device` is cpu, cuda or mps."""
    return {
        "os": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpu": cpu_model(),
        "cores": available_cores(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **_arithmetic_unit(device),
    }


def determinism() -> Facts:
    """Torch's version and the switches on which the last bits of a result depend, as they are set in this process."""
    import torch

    return {
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "deterministic_warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "flush_denormal": _flushes_denormals(),
        "mkldnn": bool(torch.backends.mkldnn.enabled),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
    }


def _blob(project: Path, path: Path) -> Blob:
    size = path.stat().st_size
    if size > LARGEST_BLOB:
        return Blob(sha256_file(path), size, kept=False)
    return Blob(keep(project, path.read_bytes()), size, kept=True)


def _arithmetic_unit(device: str) -> Facts:
    """What does the arithmetic: the CPU's instruction set; for CUDA also the GPU and the versions of its libraries."""
    import torch

    found: Facts = {"cpu_capability": torch.backends.cpu.get_cpu_capability()}
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
        found["cuda"] = torch.version.cuda or torch.version.hip
        found["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return found


def _flushes_denormals() -> bool:
    """Whether torch rounds the tiniest numbers to zero: asked of the arithmetic, since there is no getter."""
    import torch

    smallest_normal = torch.finfo(torch.float32).tiny
    return bool((torch.tensor(smallest_normal) * 0.5).item() == 0.0)
