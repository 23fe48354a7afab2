import re
import time
from collections.abc import Callable

import pytest

from ticketlab.spec.loading import LoadedSpec
from ticketlab.spec.matrix import cell_name

Accepted = Callable[..., LoadedSpec]
Refused = Callable[..., str]


def test_cells_are_the_product_in_the_order_of_the_file(page: str, accepted: Accepted) -> None:
    loaded = accepted(page + "matrix:\n  seed: [0, 1]\n  data.ratio: [0.1, 0.2]\n")
    assert [cell.labels for cell in loaded.cells] == [
        {"seed": seed, "data.ratio": ratio} for seed in (0, 1) for ratio in (0.1, 0.2)
    ]
    assert [(cell.spec.seed, cell.spec.data.ratio) for cell in loaded.cells] == [(0, 0.1), (0, 0.2), (1, 0.1), (1, 0.2)]
    assert all(cell.spec.matrix == {} for cell in loaded.cells)
    assert loaded.cells[1].name == "seed-0_data.ratio-0.2"


def test_the_page_keeps_its_matrix_and_has_the_first_value_of_each_axis(page: str, accepted: Accepted) -> None:
    spec = accepted(page + "matrix: {seed: [7, 8]}\n").spec
    assert spec.seed == 7
    assert spec.matrix == {"seed": (7, 8)}


def test_without_a_matrix_there_is_one_cell_without_a_name(page: str, accepted: Accepted) -> None:
    for text in (page, page + "matrix: {}\n"):
        (cell,) = accepted(text).cells
        assert (cell.labels, cell.name) == ({}, "")


def test_an_axis_may_supply_what_the_page_leaves_out(page: str, accepted: Accepted) -> None:
    text = page.replace("rounds: 10, rate: 0.2", "rounds: 10") + "matrix: {ticket.schedule.density: [0.1, 0.2]}\n"
    assert [cell.spec.ticket.schedule.density for cell in accepted(text).cells] == [0.1, 0.2]


def test_a_section_that_is_left_out_starts_from_its_default(page: str, accepted: Accepted) -> None:
    cells = accepted(page + "matrix: {train.optimizer.lr: [0.1, 0.01], compute.threads: [2]}\n").cells
    assert [(cell.spec.train.optimizer.kind, cell.spec.train.optimizer.lr) for cell in cells] == [
        ("adam", 0.1),
        ("adam", 0.01),
    ]
    assert cells[0].spec.compute.threads == 2


def test_whole_sections_may_be_varied_and_then_refined(page: str, accepted: Accepted) -> None:
    methods = "[{method: magnitude, schedule: {rounds: 2}}, {method: random, schedule: {rounds: 1}}]"
    cells = accepted(page + f"matrix:\n  ticket.schedule.density: [0.1, 0.2]\n  ticket: {methods}\n").cells
    assert [(cell.spec.ticket.schedule.density, cell.spec.ticket.method) for cell in cells] == [
        (0.1, "magnitude"),
        (0.1, "random"),
        (0.2, "magnitude"),
        (0.2, "random"),
    ]
    assert re.fullmatch(r"ticket\.schedule\.density-0\.1_ticket-magnitude-[0-9a-f]{8}", cells[0].name)


def test_names_are_safe_unique_and_depend_on_the_labels_alone() -> None:
    values = [0, 1, 0.1, 1e-5, 1e20, True, None, "a", "A", "a b", "a/b", "../..", "", "é", "x" * 200, [], [1, 2], {}]
    values += [[{"kind": "flip"}], {"method": "none"}, {"method": "random", "scope": "layer"}, {"a": {"b": 1}}]
    names = [cell_name({"p.q": value}) for value in values]
    assert len({name.casefold() for name in names}) == len(values)
    assert all(re.fullmatch(r"[a-z0-9.+_-]{1,100}", name) for name in names)
    assert cell_name({"seed": 0, "data.ratio": 0.1}) == "seed-0_data.ratio-0.1"
    assert cell_name({"model.hidden": [300, 100]}) == "model.hidden-300+100"
    assert cell_name({"ticket": {"method": "none"}}) == "ticket-none"
    assert len(cell_name({f"axis{n}": n for n in range(50)})) == 100


def test_names_are_cut_where_they_are_too_long_and_end_in_a_hash_then() -> None:
    assert cell_name({"p": "x" * 32}) == f"p-{'x' * 32}"
    assert re.fullmatch(r"p-x{32}-[0-9a-f]{8}", cell_name({"p": "x" * 33}))
    whole = {f"q{n}": "x" * 30 for n in range(2)} | {"r" * 30: 1}
    assert len(cell_name(whole)) == 100
    assert "x" * 30 + "_" + "r" * 30 + "-1" in cell_name(whole)
    longer = cell_name({**whole, "r" * 30: 10})
    assert re.fullmatch(r".{91}-[0-9a-f]{8}", longer)
    assert longer[:91] == cell_name(whole)[:91]


@pytest.mark.parametrize(
    ("matrix", "where", "words"),
    [
        ("3", "14:9", "not a mapping"),
        ("[seed]", "14:9", "not a mapping"),
        ("{seed: 3}", "14:16", "matrix.seed: not a list"),
        ("{seed: []}", "14:16", "matrix.seed: not a list"),
        ("{seed: [0, 1, 0.0]}", "14:23", "the same value as number 1"),
        ("{data.ration: [0.1]}", "14:10", "did you mean `data.ratio`?"),
        ("{seed: [1], trian.steps: [2]}", "14:21", "did you mean `train.steps`?"),
        ("{name: [a, b]}", "14:10", "`name` cannot be varied"),
        ("{arms: [[dense], [ticket]]}", "14:10", "`arms` cannot be varied"),
        ("{compute.log_every: [1, 2]}", "14:10", "`compute.log_every` cannot be varied"),
        ("{matrix.seed: [[1]]}", "14:10", "`matrix.seed` cannot be varied"),
        ("{spec_version: [1]}", "14:10", "`spec_version` cannot be varied"),
        ("{data.dataset.x: [1]}", "14:10", "the spec has no"),
        ("{'': [1]}", "14:10", "the spec has no"),
        ("{data.ratio: [0.1, 2]}", "14:28", "found 2"),
        ("{ticket: [{method: none}, {method: magnitud}]}", "14:44", "did you mean `magnitude`?"),
        ("{model.hidden: [[1]]}", "14:25", "`lenet`, `tiny_vgg`, not to `sngan`"),
        ("{train.optimizer.momentum: [0.1]}", "14:37", "it belongs to `sgd`, not to `adam`"),
        ("{train.critic_optimizer.lr: [0.1]}", "14:38", "train.critic_optimizer.kind: missing"),
        ("{ticket.schedule.rate.conv: [0.1]}", "14:38", "`ticket.schedule.rate` is 0.2, so it has no `conv`"),
    ],
)
def test_a_matrix_that_cannot_be_expanded_is_refused_where_it_stands(
    page: str, refused: Refused, matrix: str, where: str, words: str
) -> None:
    screen = refused(page + f"matrix: {matrix}\n")
    assert screen.startswith(f"x.yaml:{where}: ")
    assert words in screen


def test_too_many_cells_are_refused_before_any_is_made(page: str, refused: Refused) -> None:
    axes = "".join(
        f"  {axis}: [{', '.join(map(str, range(1, 101)))}]\n" for axis in ("seed", "data.count", "train.steps")
    )
    started = time.process_time()
    screen = refused(page + "matrix:\n" + axes)
    assert "100 x 100 x 100 = 1,000,000 cells; at most 10,000" in screen
    assert time.process_time() - started < 1


def test_an_error_of_one_cell_names_the_cell_and_an_error_of_the_page_does_not(page: str, refused: Refused) -> None:
    axes = "matrix: {data.ratio: [0.1, 3]}\n"
    assert refused(page + axes).endswith("\n  in cell 2 of the matrix, data.ratio-3")
    assert "in cell" not in refused(page.replace("steps: 100", "stepz: 100") + axes)


def test_a_value_that_the_matrix_replaces_must_still_be_one_that_could_stand_there(page: str, refused: Refused) -> None:
    screen = refused(page.replace("seed: 0", "seed: abc") + "matrix: {seed: [0, 1]}\n")
    assert screen.startswith("x.yaml:2:7: seed: found the text `abc`\n")
    assert screen.endswith("\n  the matrix replaces it in every cell; still, mend or remove it")
