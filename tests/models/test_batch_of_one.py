"""One image at a time is too few for normalisation by batch: refused when the spec is read, or in words when it shows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ticketlab.errors import TicketlabError
from ticketlab.models.batch_of_one import needing_two
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.resolve import resolve
from ticketlab.spec.spec import Spec


def asked(method: str, mode: str, batch: int) -> Spec:
    ticket = {"method": method, "schedule": {"density": 0.5}, "mode": mode, "probe": {"batch": batch}}
    rest = {"name": "x", "data": {"dataset": "cifar10"}, "model": {"kind": "resnet"}, "ticket": ticket}
    return Spec.model_validate({**rest, "train": {"objective": "cross_entropy", "steps": 100}})


@pytest.mark.parametrize("method", ["snip", "grasp"])
def test_scores_by_batch_statistics_of_one_image_are_refused_when_the_spec_is_read(method: str) -> None:
    with pytest.raises(Impossible, match="one image has none\n  -> a batch of at least 2") as refused:
        resolve(asked(method, "train", 1), KNOWN["cifar10"])
    assert refused.value.path[-2:] == ("probe", "batch")
    resolve(asked(method, "train", 2), KNOWN["cifar10"])
    resolve(asked(method, "eval", 1), KNOWN["cifar10"])


def test_what_torch_says_of_a_batch_of_one_names_the_field_and_how_many_it_takes() -> None:
    with (
        pytest.raises(TicketlabError, match=r"^train.batch: .*\n  -> a batch of at least 2$"),
        needing_two("train.batch"),
    ):
        nn.BatchNorm2d(3)(torch.ones(1, 3, 1, 1))


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(ValueError, match="expected 4D input"), needing_two("train.batch"):
        nn.BatchNorm2d(3)(torch.ones(1, 3))
