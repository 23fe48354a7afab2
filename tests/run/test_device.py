"""A device is made ready the same way every time, and one that is not there is an error with a mend."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from ticketlab.cores import available_cores
from ticketlab.errors import EnvironmentProblem
from ticketlab.ledger.capture import machine
from ticketlab.run.device import arrange
from ticketlab.spec.compute import Compute


@pytest.fixture(autouse=True)
def switches_as_before() -> Iterator[None]:
    """What `arrange` sets is set for the process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_flush_denormal(False)


def test_threads_and_determinism_are_set() -> None:
    arrange(Compute(device="cpu", threads=2))
    assert torch.get_num_threads() == 2
    assert torch.are_deterministic_algorithms_enabled()
    arrange(Compute(device="cpu"))
    assert torch.get_num_threads() == available_cores()
    assert (torch.tensor(torch.finfo(torch.float32).tiny) * 0.5).item() == 0


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_arithmetic_names_device_processor_threads_and_release() -> None:
    one, two = (arrange(Compute(device="cpu", threads=threads)).arithmetic for threads in (1, 2))
    assert one == f"cpu, {machine()['cpu']}, {machine()['cpu_capability']}, 1 threads, torch {torch.__version__}"
    assert two == one.replace("1 threads", "2 threads")
    if torch.cuda.is_available():
        on_gpu = arrange(Compute(device="cuda", threads=1)).arithmetic
        assert on_gpu.startswith(f"cuda, {torch.cuda.get_device_name()}, ")


def test_memory_format_is_the_one_asked_for() -> None:
    images = torch.zeros(2, 3, 8, 8)
    last, plain = (arrange(Compute(device="cpu", memory_format=kind)) for kind in ("channels_last", "contiguous"))
    assert last.images(images).is_contiguous(memory_format=torch.channels_last)
    assert plain.images(images) is images
    convolution = last.place(nn.Conv2d(3, 4, 3))
    weight = convolution.get_parameter("weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_precision_is_the_one_asked_for() -> None:
    layer = nn.Linear(4, 4)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with arrange(Compute(device="cpu", precision=precision)).precision():  # type: ignore[arg-type]
            assert layer(torch.zeros(1, 4)).dtype == dtype
    assert layer.weight.dtype == torch.float32


def test_auto_is_a_device_that_is_there() -> None:
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert arrange(Compute(device="auto")).torch.type == best


def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EnvironmentProblem) as caught:
        arrange(Compute(device="cuda"))
    assert caught.value.where == "compute.device"
    assert "cpu" in caught.value.mend


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_THREAD_LIMIT", "1"), ("OMP_DYNAMIC", "TRUE"), ("OMP_MAX_ACTIVE_LEVELS", "0")]
)
def test_fewer_threads_than_asked_for_are_refused_with_the_variable_that_says_so(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(EnvironmentProblem) as caught:
        arrange(Compute(device="cpu", threads=2))
    assert caught.value.where == "compute.threads"
    assert f"unset {name}" in caught.value.mend
    arrange(Compute(device="cpu", threads=1))


def test_surroundings_that_leave_the_threads_alone_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("OMP_THREAD_LIMIT", "2"), ("OMP_DYNAMIC", "false"), ("OMP_MAX_ACTIVE_LEVELS", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    arrange(Compute(device="cpu", threads=2))
    assert torch.get_num_threads() == 2
