"""The images and batches of a probe set."""

from __future__ import annotations

import pytest

from ticketlab.tickets.probed import batch_sizes


@pytest.mark.parametrize("batch", [2, 3, 4, 7, 100])
def test_every_image_is_in_one_batch_and_none_is_alone(batch: int) -> None:
    for count in range(2, 50):
        sizes = batch_sizes(count, batch)
        assert sum(sizes) == count
        assert min(sizes) >= 2, sizes
        assert max(sizes) <= batch + 1
        assert set(sizes[:-1]) <= {batch}
        if count % batch != 1:
            assert sizes == [len(range(count)[start : start + batch]) for start in range(0, count, batch)]


def test_batches_of_one_are_had_by_asking_for_them() -> None:
    assert batch_sizes(1, 8) == [1]
    assert batch_sizes(4, 1) == [1, 1, 1, 1]
