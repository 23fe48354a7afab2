from collections.abc import Callable

import pytest

from ticketlab.spec.loading import LoadedSpec

Accepted = Callable[..., LoadedSpec]
Refused = Callable[..., str]


def test_overrides_are_yaml_values_set_in_turn(page: str, accepted: Accepted) -> None:
    spec = accepted(
        page, "train.steps=7", "data={dataset: cifar10, count: 10}", "data.count=20", "train.augment=[]", "about=a=b"
    ).spec
    assert spec.train.steps == 7
    assert (spec.data.dataset, spec.data.count, spec.data.ratio) == ("cifar10", 20, None)
    assert spec.train.augment == ()
    assert spec.about == "a=b"


def test_an_override_in_a_section_that_is_left_out_starts_from_its_default(page: str, accepted: Accepted) -> None:
    optimizer = accepted(page, "train.optimizer.lr=0.5").spec.train.optimizer
    assert (optimizer.kind, optimizer.lr) == ("adam", 0.5)


def test_the_matrix_is_overridden_by_axis_or_as_a_whole(page: str, accepted: Accepted) -> None:
    text = page + "matrix: {seed: [0, 1, 2]}\n"
    assert [cell.spec.seed for cell in accepted(text, "matrix.seed=[5, 6]").cells] == [5, 6]
    assert len(accepted(text, "matrix.data.ratio=[0.1, 0.5]").cells) == 6
    assert len(accepted(text, "matrix={}").cells) == 1
    assert len(accepted(page, "matrix.data.ratio=[0.1, 0.5]").cells) == 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.stepz=3", "did you mean `steps`?"),
        ("trian.steps=3", "did you mean `train`?"),
        ("train.steps=abc", "found the text `abc`"),
        ("train.steps=", "found null"),
        ("train.steps", "path=value"),
        ("=3", "path=value"),
        ("train..steps=3", "path=value"),
        ("train.steps=[1", "not YAML"),
        ("train.steps=!!int 3", "the tag"),
        ("data.dataset.x=1", "`data.dataset` is the text `fashion-mnist`, so it has no `x`"),
        ("train.augment.0=1", "`train.augment` is the list"),
        ("train={objective: hinge, stepz: 1}", "did you mean `steps`?"),
        ("seed=3", "the matrix sets `seed` in every cell"),
        ("matrix.seed=[7, x]", "found the text `x`"),
        ("matrix.sed=[7]", "did you mean `seed`?"),
    ],
)
def test_errors_point_at_the_override(page: str, refused: Refused, override: str, words: str) -> None:
    screen = refused(page + "matrix: {seed: [0]}\n", override)
    assert screen.startswith(f"--set {override}: ")
    assert words in screen


def test_what_is_set_below_an_axis_would_be_lost_so_it_is_refused(page: str, refused: Refused) -> None:
    text = page + "matrix: {ticket: [{method: none}]}\n"
    assert "the matrix sets `ticket` in every cell" in refused(text, "ticket.scope=layer")


def test_a_problem_elsewhere_still_points_at_the_file(page: str, refused: Refused) -> None:
    screen = refused(page.replace("ratio: 0.1", "ratio: 3"), "train.steps=5")
    assert screen.startswith("x.yaml:5:10: data.ratio")
