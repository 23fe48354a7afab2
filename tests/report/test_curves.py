"""The picture of the curves depends on the rows alone."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from ticketlab.report.curves import curves_png

JOURNALS = {
    "ticket": [{"step": 0, "loss": 1.0}, {"step": 10, "loss": 0.5, "accuracy": 0.7}],
    "dense": [{"step": 0, "loss": 0.9}, {"step": 10, "loss": float("nan")}],
}


def test_equal_rows_give_equal_bytes_of_a_png() -> None:
    content = curves_png(JOURNALS)
    assert content == curves_png({name: list(rows) for name, rows in JOURNALS.items()})
    assert Image.open(io.BytesIO(content)).format == "PNG"


def test_other_rows_give_another_picture() -> None:
    assert curves_png(JOURNALS) != curves_png({**JOURNALS, "dense": [{"step": 0, "loss": 0.1}]})


@pytest.mark.parametrize("names", [0, 1, 4, 7])
def test_any_number_of_metrics_finds_its_panels(names: int) -> None:
    rows = [{"step": step, **{f"metric_{number}": step for number in range(names)}} for step in (1.0, 2.0)]
    width, height = Image.open(io.BytesIO(curves_png({"ticket": rows}))).size
    assert width >= 400
    assert height >= 300 * max(1, -(-names // 3))


def test_an_arm_without_rows_is_no_error() -> None:
    assert curves_png({"ticket": [], "dense": []})


def test_a_training_that_several_arms_share_is_one_line() -> None:
    assert curves_png({**JOURNALS, "again": list(next(iter(JOURNALS.values())))}) == curves_png(JOURNALS)


def test_a_single_point_is_seen() -> None:
    picture = Image.open(io.BytesIO(curves_png({"ticket": [{"step": 5, "accuracy": 0.5, "loss": 1.0}]}))).convert("RGB")
    without_legend = picture.crop((picture.width // 2, 0, picture.width, picture.height))
    assert (31, 119, 180) in {colour for _, colour in without_legend.getcolors(maxcolors=1 << 20)}
