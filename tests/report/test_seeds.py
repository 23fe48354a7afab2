"""What is one setting, and what is seen of settings against density."""

from __future__ import annotations

import io
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from PIL import Image

from ticketlab.report.against_density import density_png, lines
from ticketlab.report.seeds import Setting, settings, spread


@dataclass(frozen=True)
class Run:
    axes: Mapping[str, str]
    arm: str
    density: float
    metrics: Mapping[str, float]
    sha256: Mapping[str, str] = field(default_factory=dict)


def runs() -> list[Run]:
    """Two methods at two densities over three seeds, the dense network of a seed beside every ticket."""
    found = []
    for seed in "012":
        for method in ("px-0123abcd", "snip-89abcdef"):
            for density in ("0.2", "0.05"):
                axes = {"seed": seed, "ticket": method, "ticket.schedule.density": density}
                value = float(density) + int(seed) / 100
                found.append(Run(axes, "ticket", float(density), {"accuracy": value}, {"w": repr(axes)}))
                found.append(Run(axes, "dense", 1.0, {"accuracy": 0.9 + int(seed) / 100}, {"w": f"dense {seed}"}))
    return found


def test_runs_that_differ_in_their_seed_are_one_setting_and_one_training_in_many_cells_is_one() -> None:
    found = settings(runs())
    assert [(dict(one.axes), one.arm, one.runs) for one in found] == [
        ({"ticket": "px", "ticket.schedule.density": "0.2"}, "ticket", 3),
        ({}, "dense", 3),
        ({"ticket": "px", "ticket.schedule.density": "0.05"}, "ticket", 3),
        ({"ticket": "snip", "ticket.schedule.density": "0.2"}, "ticket", 3),
        ({"ticket": "snip", "ticket.schedule.density": "0.05"}, "ticket", 3),
    ]
    assert found[0].metrics["accuracy"] == pytest.approx([0.2, 0.21, 0.22])
    assert spread(found[0].metrics["accuracy"]) == pytest.approx(statistics.stdev([0.2, 0.21, 0.22]))


def test_arms_of_other_bits_stay_apart_though_they_are_dense() -> None:
    found = settings([Run({"data.ratio": ratio}, "dense", 1.0, {}, {"w": ratio}) for ratio in ("0.1", "0.2")])
    assert [dict(one.axes) for one in found] == [{"data.ratio": "0.1"}, {"data.ratio": "0.2"}]


def test_a_word_keeps_its_hash_where_two_values_have_the_same_word() -> None:
    words = ("px-0123abcd", "px-89abcdef")
    found = settings([Run({"ticket": word}, "ticket", 0.5, {}, {"w": word}) for word in words])
    assert [one.axes["ticket"] for one in found] == list(words)


def test_the_picture_is_the_same_twice_and_another_for_other_values() -> None:
    picture = density_png(settings(runs()))
    assert picture is not None
    assert picture == density_png(settings(runs()))
    assert Image.open(io.BytesIO(picture)).format == "PNG"
    higher = [Run(one.axes, one.arm, one.density, {"accuracy": 1.0}, one.sha256) for one in runs()]
    assert picture != density_png(settings(higher))


def test_without_two_densities_of_one_method_there_is_nothing_to_draw() -> None:
    assert density_png(settings([one for one in runs() if one.axes["ticket.schedule.density"] == "0.2"])) is None
    assert density_png([]) is None


def test_an_axis_that_changes_no_density_tells_lines_apart() -> None:
    """Rounds to a given density are no share of the weights: each number of them is a line."""

    def at(rounds: str, density: float) -> Setting:
        axes = {"ticket.schedule.rounds": rounds, "ticket.schedule.density": str(density)}
        return Setting(axes, "ticket", [density], {"accuracy": [density]})

    found = lines([at(rounds, density) for rounds in ("1", "100") for density in (0.2, 0.05)])
    assert {label: [one.density for one in line] for label, line in found.items()} == {
        "1": [0.2, 0.05],
        "100": [0.2, 0.05],
    }


def test_a_line_is_named_by_what_differs_and_by_its_arm_where_there_are_several() -> None:
    tickets = [one for one in settings(runs()) if one.density < 1]
    assert {label: len(line) for label, line in lines(tickets).items()} == {"px": 2, "snip": 2}
    random = [Setting(one.axes, "random", one.densities, one.metrics) for one in tickets]
    assert list(lines([*tickets, *random])) == ["px ticket", "snip ticket", "px random", "snip random"]
