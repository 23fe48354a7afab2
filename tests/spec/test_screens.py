import re
from collections.abc import Callable

import pytest

from ticketlab.spec.language import place_at, tags

SCREENS = [
    (
        "a misspelt key",
        "steps: 100",
        "stepz: 100",
        [],
        """\
x.yaml:12:3: train.stepz: no such key
  -> did you mean `steps`? Length of a training, in generator updates.""",
    ),
    (
        "a misspelt required key of the page",
        "name: demo",
        "nmae: demo",
        [],
        """\
x.yaml:1:1: nmae: no such key
  -> did you mean `name`? Name of the experiment: its folder under runs/ and its MLflow experiment. Does not affect results.""",
    ),
    (
        "a wrong type",
        "steps: 100",
        "steps: '100'",
        [],
        """\
x.yaml:12:10: train.steps: found the text `100`
     allowed: a whole number >= 1 and <= 100,000,000 (Length of a training, in generator updates)
  -> write 100, without quotes or underscores""",
    ),
    (
        "a float for a whole number",
        "steps: 100",
        "steps: 1e3",
        [],
        """\
x.yaml:12:10: train.steps: found 1000.0
     allowed: a whole number >= 1 and <= 100,000,000 (Length of a training, in generator updates)
  -> write 1000""",
    ),
    (
        "a number out of range",
        "ratio: 0.1",
        "ratio: 1.5",
        [],
        """\
x.yaml:5:10: data.ratio: found 1.5
     allowed: a number > 0 and <= 1, or null (Share of the training images to keep, in (0, 1]; exclusive with `count`)""",
    ),
    (
        "a misspelt choice of a family",
        "method: magnitude",
        "method: magnitud",
        [],
        """\
x.yaml:8:11: ticket.method: found the text `magnitud`
     allowed: one of <ticket> (How the mask is drawn)
  -> did you mean `magnitude`?""",
    ),
    (
        "a misspelt tag of a family",
        "method: magnitude",
        "methd: magnitude",
        [],
        """\
x.yaml:8:3: ticket.methd: no such key
  -> did you mean `method`?""",
    ),
    (
        "a misspelt choice",
        "method: magnitude",
        "method: magnitude\n  scope: globl",
        [],
        """\
x.yaml:9:10: ticket.scope: found the text `globl`
     allowed: one of `global`, `layer`, `uniform`, `erk`, or a mapping whose `kind` is one of these (One threshold for all prunable weights of a network, one for each layer at equal density, or one for each layer at densities by Erdos-Renyi kernel)
  -> did you mean `global`?""",
    ),
    (
        "a missing section",
        "model: {kind: sngan, width: 64}\n",
        "",
        [],
        """\
x.yaml:1:1: model: missing
     allowed: one of <model>, or a mapping whose `kind` is one of these (Which networks)
  -> add `model:` to the spec""",
    ),
    (
        "a family without its tag",
        "kind: sngan, width",
        "width",
        [],
        """\
x.yaml:6:1: model.kind: missing
     allowed: one of <model> (Which networks)
  -> add `kind:` under `model`""",
    ),
    (
        "a family inside a section without its tag",
        "steps: 100",
        "steps: 100\n  optimizer: {lr: 0.1}",
        [],
        """\
x.yaml:13:3: train.optimizer.kind: missing
     allowed: one of `adam`, `sgd` (Optimiser of the generator)
  -> add `kind:` under `train.optimizer`""",
    ),
    (
        "a misspelt name of a member",
        "model: {kind: sngan, width: 64}",
        "model: sngann",
        [],
        """\
x.yaml:6:8: model: found the text `sngann`
     allowed: one of <model>, or a mapping whose `kind` is one of these (Which networks)
  -> did you mean `sngan`?""",
    ),
    (
        "the name of a member that needs more",
        "train:\n  objective: hinge\n  steps: 100\n  augment: [{kind: diffaugment}]",
        "train: hinge",
        [],
        """\
x.yaml:10:8: train: found the text `hinge`
     allowed: a mapping whose `objective` is one of `hinge`, `non_saturating`, `cross_entropy`, `squared_error`, `pixel_cross_entropy`, `moment_matching` (How the ticket is trained)
  -> did you mean `{objective: hinge, steps: ...}`?""",
    ),
    (
        "a misspelt metric",
        "  steps: 100\n",
        "  steps: 100\nevaluate: {metrics: [frechet, prdk]}\n#",
        [],
        """\
x.yaml:13:31: evaluate.metrics.1: found the text `prdk`
     allowed: one of `accuracy`, `loss`, `mean_iou`, `pixel_accuracy`, `frechet`, `kernel`, `prdc`, `inception_score`, or a mapping whose `kind` is one of these (What is measured; null is accuracy and loss for classifiers, mean_iou, pixel_accuracy and loss for segmenters, frechet and prdc for GANs)
  -> did you mean `prdc`?""",
    ),
    (
        "a key of the wrong member below a name",
        "steps: 100",
        "steps: 100\n  optimizer: sgd",
        ["train.optimizer.beta1=0.5"],
        """\
--set train.optimizer.beta1=0.5: train.optimizer.beta1: no such key
  -> it belongs to `adam`, not to `sgd`""",
    ),
    (
        "a key of another section",
        "steps: 100",
        "steps: 100\n  lr: 0.1",
        [],
        """\
x.yaml:13:3: train.lr: no such key
  -> it belongs to `train.optimizer.lr`, `train.critic_optimizer.lr`, `train.averages.lr`""",
    ),
    (
        "a length in epochs",
        "steps: 100",
        "epochs: 160",
        [],
        """\
x.yaml:12:3: train.epochs: no such key
  -> did you mean `steps`? Length of a training, in generator updates.""",
    ),
    (
        "what others call a kind of layer",
        "rate: 0.2",
        "rate: {fc: 0.2}",
        [],
        """\
x.yaml:9:33: ticket.schedule.rate.fc: no such key
  -> did you mean `linear`? Share of the remaining linear weights pruned per round, in [0, 1).""",
    ),
    (
        "what others call an arm",
        "seed: 0",
        "seed: 0\narms: [ticket, reinit]",
        [],
        """\
x.yaml:3:16: arms.1: found the text `reinit`
     allowed: one of `ticket`, `dense`, `random`, `shuffled`, `fresh_weights`, or a mapping whose `kind` is one of these \
(What is trained and compared: the ticket itself, the dense network, a random mask of the same layer densities, \
the ticket's mask shuffled within each layer, the ticket's mask on fresh initial weights)
  -> did you mean `fresh_weights`?""",
    ),
    (
        "a key of another member",
        "width: 64",
        "channels: [10]",
        [],
        """\
x.yaml:6:22: model.channels: no such key
  -> it belongs to `lenet`, `plain_conv`, not to `sngan`""",
    ),
    (
        "a section that contradicts itself",
        "rate: 0.2",
        "rate: 0.2, density: 0.1",
        [],
        """\
x.yaml:9:13: ticket.schedule: give exactly one of `rate` (pruned per round) and `density` (kept at the end)""",
    ),
    (
        "a wrong branch of a union",
        "rate: 0.2",
        "density: {convv: 0.1}",
        [],
        """\
x.yaml:9:36: ticket.schedule.density.convv: no such key
  -> did you mean `conv`? Share of the conv weights kept at the end, in (0, 1].""",
    ),
    (
        "a word of YAML 1.1",
        "seed: 0",
        "seed: 0\ncompute: {compile: yes}",
        [],
        """\
x.yaml:3:20: compute.compile: found the text `yes`
     allowed: true or false (Whether networks are compiled by torch.compile)
  -> write true""",
    ),
    (
        "a duplicate key",
        "seed: 0",
        "seed: 0\nname: again",
        [],
        """\
x.yaml:3:1: the key `name` again; it was given first in line 1
  -> keep one of the two""",
    ),
    (
        "an override",
        "",
        "",
        ["train.stepz=3"],
        """\
--set train.stepz=3: train.stepz: no such key
  -> did you mean `steps`? Length of a training, in generator updates.""",
    ),
    (
        "an override in a section that does not exist",
        "",
        "",
        ["trian.steps=3"],
        """\
--set trian.steps=3: trian: no such key
  -> did you mean `train`? How the ticket is trained.""",
    ),
    (
        "a bad value in the matrix",
        "seed: 0",
        "seed: 0\nmatrix: {data.ratio: [0.1, 2]}",
        [],
        """\
x.yaml:3:28: data.ratio: found 2
     allowed: a number > 0 and <= 1, or null (Share of the training images to keep, in (0, 1]; exclusive with `count`)
  in cell 2 of the matrix, data.ratio-2""",
    ),
    (
        "a bad path in the matrix",
        "seed: 0",
        "seed: 0\nmatrix: {data.ration: [0.1]}",
        [],
        """\
x.yaml:3:10: matrix: the spec has no `data.ration`
  -> did you mean `data.ratio`?""",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "overrides", "screen"), [case[1:] for case in SCREENS], ids=[case[0] for case in SCREENS]
)
def test_the_screen_for_a_typical_mistake(
    page: str, refused: Callable[..., str], old: str, new: str, overrides: list[str], screen: str
) -> None:
    assert refused(page.replace(old, new, 1) if old else page, *overrides) == listed(screen)


def listed(screen: str) -> str:
    """The screen with the members that `<model>` and `<ticket>` have today, in their order."""
    for section in ("model", "ticket"):
        place = place_at((section,), {})
        assert place is not None
        screen = screen.replace(f"<{section}>", ", ".join(f"`{tag}`" for tag in tags(place.sections)))
    return screen


def test_several_problems_come_in_the_order_of_the_file_and_all_at_once(page: str, refused: Callable[..., str]) -> None:
    text = page.replace("ratio: 0.1", "ratio: 2").replace("steps: 100", "stepz: 100").replace("width: 64", "width: x")
    screen = refused(text).splitlines()
    assert screen[0] == "x.yaml: 3 problems"
    assert [line.split(" ")[0] for line in screen if line.startswith("x.yaml:") and line != screen[0]] == [
        "x.yaml:5:10:",
        "x.yaml:6:29:",
        "x.yaml:12:3:",
    ]


def test_at_most_eight_problems_are_shown_and_the_rest_counted(page: str, refused: Callable[..., str]) -> None:
    screen = refused(page + "".join(f"unknown{n}: 1\n" for n in range(20)))
    assert screen.startswith("x.yaml: 20 problems\n")
    assert screen.endswith("\nand 12 more")
    assert screen.count("no such key") == 8
    assert len(screen.splitlines()) <= 26


def test_no_screen_speaks_the_words_of_pydantic() -> None:
    for _, _, _, _, screen in SCREENS:
        assert not re.search(r"pydantic|Input should|value_error|tagged|constrained|literal|tuple|dict\b", screen)


@pytest.mark.parametrize(
    ("old", "new", "found", "advice"),
    [
        ("steps: 100", "steps: 10_000", "the text `10_000`", "write 10000, without quotes or underscores"),
        ("steps: 100", "steps:", "null (nothing)", "write a value"),
        ("seed: 0", "seed:", "null (nothing)", "leave the key out to get its default"),
        ("seed: 0", "seed: true", "true", ""),
        ("seed: 0", "seed: 9223372036854775808", "9223372036854775808", ""),
        ("[{kind: diffaugment}]", "{kind: diffaugment}", "a mapping with `kind`", "write a list: start the entry with"),
        ("[{kind: diffaugment}]", "diffaugment", "the text `diffaugment`", "write a list: `[diffaugment]`"),
        ("[{kind: diffaugment}]", "[diffaugmnt]", "the text `diffaugmnt`", "did you mean `diffaugment`?"),
        ("width: 64", "width: [64]", "the list `[64]`", ""),
        ("  schedule:", "  round_steps: -1\n  schedule:", "-1", ""),
        ("  schedule:", "  round_steps: often\n  schedule:", "the text `often`", ""),
        ("  schedule:", "  round_steps: [9, 0]\n  schedule:", "0", ""),
        ("kind: sngan, width: 64", "kind: lenet, channels: [1, 2, 3]", "the list `[1, 2, 3]`", ""),
        ("kind: sngan, width: 64", "kind: lenet, channels: [1]", "the list `[1]`", ""),
        ("kind: sngan, width: 64", "kind: vgg, depth: '16'", "the text `16`", "write 16, without quotes"),
        ("kind: sngan, width: 64", "kind: vgg, depth: 1_6", "the text `1_6`", "write 16, without quotes"),
        ("kind: sngan, width: 64", "kind: [sngan]", 'the list `["sngan"]`', ""),
        ("kind: sngan", "kind: null", "null (nothing)", "write a value"),
        ("dataset: fashion-mnist", "dataset: Fashion MNIST", "the text `Fashion MNIST`", ""),
        ("name: demo", 'name: "a\\e[31m\\nb"', "the text `a\\x1b[31m\\nb`", ""),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed_and_how_to_mend_it(
    page: str, refused: Callable[..., str], old: str, new: str, found: str, advice: str
) -> None:
    screen = refused(page.replace(old, new, 1))
    first, allowed, *rest = screen.splitlines()
    assert first.endswith(f": found {found}")
    assert allowed.startswith("     allowed: ")
    assert bool(rest) == bool(advice)
    assert not advice or rest[0].startswith(f"  -> {advice}")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("yes", "true"),
        ("on", "true"),
        ("y", "true"),
        ("no", "false"),
        ("off", "false"),
        ("n", "false"),
        ("Yes", "true"),
    ],
)
def test_words_that_older_yaml_takes_for_truth_values_are_text_with_a_mend(
    page: str, refused: Callable[..., str], word: str, meant: str
) -> None:
    screen = refused(page.replace("steps: 100", f"steps: 100\n  optimizer: {{kind: sgd, nesterov: {word}}}", 1))
    first, allowed, mend = screen.splitlines()
    assert first.endswith(f"train.optimizer.nesterov: found the text `{word}`")
    assert allowed.startswith("     allowed: true or false")
    assert mend == f"  -> write {meant}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "kind: sngan, width: 64",
            "kind: mlp, hidden: []",
            "a list of at least 1 and at most 64, each a whole number >= 1",
        ),
        ("  schedule:", "  networks: []\n  schedule:", "a list of at least 1, each text, or null"),
        ("[{kind: diffaugment}]", "3", "a list of at most 8, each one of `diffaugment`"),
        ("kind: sngan, width: 64", "kind: lenet, channels: 3", "a list of 2, each a whole number >= 1"),
    ],
)
def test_how_long_a_list_may_be_is_said(page: str, refused: Callable[..., str], old: str, new: str, words: str) -> None:
    assert f"     allowed: {words}" in refused(page.replace(old, new, 1))
