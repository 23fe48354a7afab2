"""The table has a row per arm and a column per metric, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from ticketlab.report.table import cells, markdown


@dataclass(frozen=True)
class Found:
    name: str
    density: float
    metrics: dict[str, float] = field(default_factory=dict)


ROWS = [
    Found("seed-0/ticket", 0.25, {"fd_lab": 12.34567, "precision": 0.5}),
    Found("seed-0/dense", 1.0, {"fd_lab": 10.0, "recall": 0.123456}),
    Found("seed-0/random", 0.0625),
]


def test_metrics_become_columns_in_the_order_they_are_met() -> None:
    head, rows = cells(ROWS)
    assert head == ["arm", "density", "fd_lab", "precision", "recall"]
    assert rows == [
        ["seed-0/ticket", "25.00%", "12.35", "0.5", ""],
        ["seed-0/dense", "100.00%", "10", "", "0.1235"],
        ["seed-0/random", "6.25%", "", "", ""],
    ]


def test_the_page_is_a_table_that_markdown_readers_take() -> None:
    lines = markdown("quickstart", ROWS).splitlines()
    assert lines[0] == "# quickstart"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(ROWS)
    assert len({line.count("|") for line in table}) == 1


def test_without_results_there_are_only_heads() -> None:
    assert cells([]) == (["arm", "density"], [])
