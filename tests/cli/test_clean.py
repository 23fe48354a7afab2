"""Ages and sizes as people write them."""

from __future__ import annotations

import pytest
import typer

from ticketlab.cli.clean import seconds, size


@pytest.mark.parametrize(
    ("age", "expected"), [("30d", 2_592_000), ("12h", 43_200), ("1.5m", 90), ("0s", 0), ("2w", 1_209_600)]
)
def test_an_age_is_read(age: str, expected: float) -> None:
    assert seconds(age) == expected


@pytest.mark.parametrize("age", ["", "30", "d", "-1d", "30 days", "1e9d", "nan", "\u0661d", "30d30d"])
def test_what_is_no_age_is_refused_with_an_example(age: str) -> None:
    with pytest.raises(typer.BadParameter, match="30d"):
        seconds(age)


def test_sizes_are_said_in_powers_of_1024() -> None:
    assert [size(count) for count in (0, 1023, 1024, 1536, 2**20, 5 * 2**30, 3 * 2**40)] == [
        *("0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.0 GiB", "3.0 TiB"),
    ]
