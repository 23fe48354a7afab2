import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketlab.errors import SpecError
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.loading import LoadedSpec, load
from ticketlab.spec.resolve import resolve
from ticketlab.spec.spec import Spec

Accepted = Callable[..., LoadedSpec]
Refused = Callable[..., str]


def test_a_loaded_spec_keeps_its_file_its_raw_values_and_the_hash_of_its_text(page: str, accepted: Accepted) -> None:
    loaded = accepted(page, "seed=4")
    assert loaded.file.name == "x.yaml"
    assert loaded.data["seed"] == 4
    assert loaded.text_sha256 == hashlib.sha256(page.encode()).hexdigest()
    assert loaded.positions.where(("train", "steps")).endswith("x.yaml:12:10")


def test_every_cell_is_resolved_once(page: str, accepted: Accepted) -> None:
    def numbered(spec: Spec) -> Spec:
        return spec.model_copy(update={"about": f"{spec.about}seed {spec.seed}"})

    loaded = accepted(page + "matrix: {seed: [1, 2]}\n", resolve=numbered)
    assert [cell.spec.about for cell in loaded.cells] == ["seed 1", "seed 2"]
    assert loaded.spec.about == ""


def test_what_makes_no_sense_together_is_shown_like_any_other_problem(page: str, refused: Refused) -> None:
    def picky(spec: Spec) -> Spec:
        if spec.seed == 2:
            raise Impossible(("train", "objective"), "no GAN likes seed 2", "take another")
        return spec

    assert refused(page.replace("seed: 0", "seed: 2"), resolve=picky) == (
        "x.yaml:11:14: train.objective: no GAN likes seed 2\n  -> take another"
    )
    assert refused(page + "matrix: {seed: [1, 2]}\n", resolve=picky).endswith("\n  in cell 2 of the matrix, seed-2")


def test_text_of_the_file_in_what_makes_no_sense_is_harmless_to_a_terminal(page: str, refused: Refused) -> None:
    named = page.replace("ratio: 0.1", "ratio: 0.1\n  size: 32").replace(
        "magnitude", 'magnitude\n  networks: ["\\e[31m"]'
    )
    screen = refused(named, resolve=lambda spec: resolve(spec, KNOWN["fashion-mnist"]))
    assert screen == "x.yaml:10:14: ticket.networks.0: `sngan` has no network `\\x1b[31m`\n  -> generator, critic"


def test_impossible_stands_by_itself_too() -> None:
    assert str(Impossible(("train", "augment", 0), "not so", "do this")) == "train.augment.0: not so\n  -> do this"


def test_a_file_that_is_not_there_is_refused_with_the_nearest_name(page: str, tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text(page)
    for path, words in [
        (tmp_path / "quickstrat.yaml", "quickstart.yaml?"),
        (tmp_path / "elephant.yaml", "specs there: `quickstart.yaml`"),
        (tmp_path, "this is a folder"),
        (tmp_path / "no" / "x.yaml", "there is no such file"),
        (tmp_path / ("x" * 400), "cannot be read"),
        (tmp_path / "a\0b", "there is no such file"),
        (Path("/dev/null"), "not a file"),
    ]:
        with pytest.raises(SpecError) as caught:
            load(path)
        assert words in str(caught.value)
        assert "\0" not in str(caught.value)
        assert caught.value.mend


def test_a_file_that_may_not_be_read_is_refused(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "x.yaml"
    file.write_text(page)
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(SpecError, match="cannot be read: Permission denied"):
        load(file)


def test_reading_a_spec_imports_nothing_heavy() -> None:
    script = (
        "import sys, ticketlab.spec.loading as loading, pathlib\n"
        "loading.load(pathlib.Path(sys.argv[1]))\n"
        "print(sorted({'torch', 'numpy', 'rich', 'typer', 'jsonschema', 'mlflow', 'dvc', 'asyncio'} & set(sys.modules)))"
    )
    spec = Path(__file__).parents[2] / "specs" / "quickstart.yaml"
    done = subprocess.run([sys.executable, "-c", script, str(spec)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
