"""Making a device ready: threads, determinism, precision, layout; and saying what was made."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ticketlab.cores import available_cores, cpu_model
from ticketlab.errors import EnvironmentProblem
from ticketlab.models.subsample import subsample_first

if TYPE_CHECKING:
    from ticketlab.spec.compute import Compute

_LIMIT, _DYNAMIC, _LEVELS = "OMP_THREAD_LIMIT", "OMP_DYNAMIC", "OMP_MAX_ACTIVE_LEVELS"


@dataclass(frozen=True)
class Device:
    """A device made ready for a run."""

    torch: torch.device
    compute: Compute

    @property
    def arithmetic(self) -> str:
        """What the last bits of sums depend on: the device and its name, the CPU threads, the release of torch.

        Work that was begun with one arithmetic is not gone on with in another: no machine could repeat the whole.
        """
        name = torch.cuda.get_device_name(self.torch) if self.torch.type == "cuda" else cpu_model()
        able = torch.backends.cpu.get_cpu_capability()
        return f"{self.torch.type}, {name}, {able}, {torch.get_num_threads()} threads, torch {torch.__version__}"

    @property
    def workers(self) -> int:
        """Processes that open pictures meanwhile, where there are pictures to open."""
        return max(0, available_cores() - 1) if self.compute.workers is None else self.compute.workers

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, in the memory format asked for."""
        network.to(self.torch)
        if self.torch.type == "cpu":
            subsample_first(network)
        if self.compute.memory_format == "channels_last":
            network.to(memory_format=torch.channels_last)
        return network

    def images(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in the memory format asked for."""
        if self.compute.memory_format == "channels_last":
            return images.contiguous(memory_format=torch.channels_last)
        return images

    def precision(self) -> AbstractContextManager[object]:
        """The context forward passes run in: autocast to bf16, or nothing."""
        if self.compute.precision == "bf16":
            return torch.autocast(self.torch.type, dtype=torch.bfloat16)
        return nullcontext()

    def compiled(self, network: nn.Module) -> Callable[..., Tensor]:
        """The network's forward, compiled if asked for."""
        return torch.compile(network) if self.compute.compile else network


def arrange(compute: Compute) -> Device:
    """Set threads and determinism for this process and return the device.

    Deterministic algorithms are always on: a run that cannot be repeated proves nothing. Denormal numbers are flushed
    to zero on CPUs, where they cost a hundred times a normal operation. Raises `EnvironmentProblem` for a device that
    is not there, and for surroundings that would give fewer threads than asked for.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = compute.threads or available_cores()
    refuse_fewer_threads(threads)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory guards against reading it unwritten, which no operation here does; it costs a pass over it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_flush_denormal(True)
    return Device(torch.device(chosen(compute.device)), compute)


def refuse_fewer_threads(asked: int) -> None:
    """EnvironmentProblem where OpenMP was told to work on fewer threads than asked for: sums would come in another order.

    Torch goes on to say that it has as many as it was given, whereas OMP_NUM_THREADS, a default, does give way. Fewer
    cores are no matter: threads take turns on them.
    """
    said = {name: os.environ.get(name, "").strip().lower() for name in (_LIMIT, _DYNAMIC, _LEVELS)}
    limited = said[_LIMIT].isdecimal() and int(said[_LIMIT]) < asked
    for name, lowers in ((_LIMIT, limited), (_DYNAMIC, said[_DYNAMIC] == "true"), (_LEVELS, said[_LEVELS] == "0")):
        if lowers and asked > 1:
            raise EnvironmentProblem(
                f"{name} is {said[name]}, so the {asked} threads that are asked for would be fewer",
                where="compute.threads",
                mend=f"unset {name}, or ask for `compute.threads: 1`",
            )


def chosen(asked: str) -> str:
    """The device that is meant, cuda, mps or cpu, `auto` being the fastest. EnvironmentProblem if it is not there."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if present[name])
    if not present[asked]:
        there = ", ".join(name for name, is_there in present.items() if is_there)
        raise EnvironmentProblem(
            f"this machine has no {asked} device that torch can use",
            where="compute.device",
            mend=f"one of: auto, {there}",
        )
    return asked
