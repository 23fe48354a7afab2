"""The `compute` section: on what and how the arithmetic is done."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ticketlab.spec.section import NoEffect, Section


class Compute(Section):
    """Where the arithmetic runs. Defaults are fast for the device; all but the last three fields may change the last bits."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Device; auto is cuda if there is one, else mps, else cpu."
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="Arithmetic of forward and backward passes; bf16 keeps fp32 weights."
    )
    memory_format: Literal["channels_last", "contiguous"] = Field(
        default="channels_last",
        description="Layout of image tensors; channels_last is the faster one for convolutions.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="CPU threads; null is the number of cores that planning the run may use.",
    )
    compile: bool = Field(default=False, description="Whether networks are compiled by torch.compile.")
    workers: Annotated[
        int | None, NoEffect("what a batch holds depends on its key and its number, not on who opens the pictures")
    ] = Field(
        default=None,
        ge=0,
        le=256,
        description="Processes that open the pictures of a streamed dataset ahead of the network; 0 is none but the run "
        "itself, null one less than there are cores. Does not affect results.",
    )
    checkpoint_seconds: Annotated[
        float, NoEffect("a run that was interrupted and resumed has the same bits as one that was not")
    ] = Field(
        default=60.0,
        ge=0,
        description="Seconds between resumable checkpoints; 0 writes one at every step. Does not affect results.",
    )
    log_every: Annotated[int, NoEffect("randomness is keyed, not stateful: looking more often disturbs nothing")] = (
        Field(default=10, ge=1, description="Training steps between rows of the loss curves. Does not affect results.")
    )
