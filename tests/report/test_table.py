"""The table has a row per arm and a column per metric, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ticketlab.report.table import cells, markdown, over_seeds, share, spelled


@dataclass(frozen=True)
class Found:
    name: str
    density: float
    metrics: dict[str, float] = field(default_factory=dict)
    layer_densities: dict[str, float] = field(default_factory=dict)
    collapsed: dict[str, int] = field(default_factory=dict)
    multiply_adds: dict[str, tuple[int, int]] = field(default_factory=dict)
    axes: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)

    @property
    def arm(self) -> str:
        return self.name.rpartition("/")[2]


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


def test_layers_have_a_row_each_and_those_of_which_nothing_is_left_are_named_with_their_round() -> None:
    ticket = Found("ticket", 0.2, {}, {"net.a": 0.5, "net.b": 0.0, "net.c": 0.0}, {"net.b": 3, "net.c": 1})
    random = Found("random", 0.2, {}, {"net.a": 0.25, "net.b": 0.125, "net.c": 0.5}, {})
    page = markdown("demo", [ticket, random, Found("dense", 1.0)])
    assert "- ticket: nothing is left of net.b (round 3), net.c (round 1)" in page
    assert "| layer | ticket | random |" in page
    assert "| net.b | **0** | 12.50% |" in page
    assert "random: nothing" not in page
    assert "Layer collapse" not in markdown("demo", [random])
    assert "Density by layer" not in markdown("demo", [Found("dense", 1.0)])


def test_what_a_forward_costs_has_a_column_for_every_mask_and_the_share_of_the_dense_network() -> None:
    ticket = Found("ticket", 0.5, multiply_adds={"generator": (1500, 6000), "critic": (1234567, 1234567)})
    page = markdown("demo", [ticket, Found("dense", 1.0), Found("random", 0.5, multiply_adds={"critic": (1, 8)})])
    assert "## Multiply-adds of one image\n\n| network | ticket | random |\n| --- | --- | --- |\n" in page
    assert "| generator | 1,500 (25.00%) |  |" in page
    assert "| critic | 1,234,567 (100.00%) | 1 (12.50%) |" in page
    assert "Multiply-adds" not in markdown("demo", [Found("dense", 1.0)])


def test_rounds_are_said_once_for_all_layers_that_died_in_them() -> None:
    assert spelled({"a": 1, "b": 7, "c": 1, "d": 0}) == "a, c (round 1), b (round 7), d (in training)"


@pytest.mark.parametrize(
    ("density", "said"),
    [
        (1.0, "100.00%"),
        (0.25, "25.00%"),
        (0.00123, "0.12%"),
        (0.001, "0.10%"),
        (0.00099, "0.099%"),
        (5.4e-5, "0.0054%"),
        (1 / 200_704, "0.0005%"),
        (1e-12, "0.0000000001%"),
        (0.0, "0.00%"),
    ],
)
def test_little_is_not_taken_for_nothing(density: float, said: str) -> None:
    assert share(density) == said
    if 0 < density < 1:
        assert float(said.rstrip("%")) / 100 == pytest.approx(density, rel=0.05)


def test_one_weight_that_is_left_of_a_layer_shows_and_none_stands_out() -> None:
    row = Found("ticket", 5.4e-5, layer_densities={"one": 1 / 200_704, "none": 0.0})
    page = markdown("x", [row])
    assert "| ticket | 0.0054% |" in page
    assert "| one | 0.0005% |" in page
    assert "| none | **0** |" in page


def seeded(seed: int, arm: str, accuracy: float, ratio: str = "0.1") -> Found:
    axes = {"seed": str(seed), "data.ratio": ratio}
    return Found(
        f"seed-{seed}_data.ratio-{ratio}/{arm}",
        0.25,
        {"accuracy": accuracy},
        axes=axes,
        sha256={"w": f"{arm}{seed}{ratio}"},
    )


def test_seeds_are_taken_together_as_mean_and_standard_deviation() -> None:
    rows = [
        seeded(seed, arm, accuracy)
        for arm, found in (("ticket", (0.5, 0.7)), ("random", (0.25,)))
        for seed, accuracy in enumerate(found)
    ]
    head, lines = over_seeds(rows)
    assert head == ["data.ratio", "arm", "seeds", "density", "accuracy"]
    assert lines == [
        ["0.1", "ticket", "2", "25.00%", "0.6 ± 0.14"],
        ["0.1", "random", "1", "25.00%", "0.25"],
    ]
    page = markdown("demo", rows)
    assert "## Over the seeds" in page
    assert "| 0.1 | ticket | 2 | 25.00% | 0.6 ± 0.14 |" in page


def test_one_seed_is_no_spread() -> None:
    assert over_seeds([seeded(0, "ticket", 0.5), seeded(0, "random", 0.5)]) == ([], [])
    assert "Over the seeds" not in markdown("demo", [seeded(0, "ticket", 0.5), seeded(0, "ticket", 0.5, "0.2")])
