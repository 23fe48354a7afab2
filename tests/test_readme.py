"""The README says what is so: its commands, specs and programs are executed, in a copy of the project made tiny."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

import ticketlab
from ticketlab.spec.drawing import Drawn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROJECT_FILES = (
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/remote",
    ".dvcignore",
    ".gitignore",
    "data.dvc",
    "dvc.yaml",
    "specs",
)

TINY = {
    r"width: 16, critic_width: 16, latent: 64": "width: 2, critic_width: 2, latent: 4",
    r"steps: 500": "steps: 4",
    r"batch: 32": "batch: 4",
    r"samples: 1000": "samples: 16",
    r"every: 100": "every: 2",
    r"kind: lab_classifier, steps: 200": "kind: lab_classifier, steps: 2, model: {kind: convnet, width: 2}",
    r"\Z": "compute: {threads: 1}\n",
}
"""What makes the quickstart spec take seconds; every command of the README then runs as it stands."""

METHOD_SIGN = "# lamp/"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and why it is not run (an HTML comment above it), if it is not."""

    language: str
    text: str
    not_run: str

    def runs(self, language: str) -> bool:
        return self.language == language and not self.not_run


def blocks() -> list[Block]:
    pattern = re.compile(r"(?:<!-- not run: (.*?) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [Block(language, text, reason) for reason, language, text in pattern.findall(README)]


BLOCKS = blocks()
SHELL = [block.text for block in BLOCKS if block.runs("bash")]
FIRST_RUN, FIRST_TESTS, COMMANDS, OWN_IMAGES, METHOD_COMMANDS = SHELL
METHOD_FILES = {
    block.text.partition("\n")[0].removeprefix("# "): block.text
    for block in BLOCKS
    if block.language == "toml" or block.text.startswith(METHOD_SIGN)
}


def environment(*packages: Path) -> dict[str, str]:
    """The tests' own environment, its commands first; OMP_NUM_THREADS is no business of a newcomer's."""
    variables = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
    return variables | {"PYTHONPATH": os.pathsep.join(map(str, packages))}


def shell(commands: str, folder: Path, *packages: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment(*packages),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone as git would make it, but for the quickstart spec, which is tiny."""
    folder = tmp_path / "project"
    for name in PROJECT_FILES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    spec = folder / "specs" / "quickstart.yaml"
    text = spec.read_text()
    for found, tiny in TINY.items():
        text, times = re.subn(found, tiny, text)
        assert times, f"{found} is not in the quickstart spec"
    spec.write_text(text)
    shell("git init -q . && git add -A && git commit -q -m start", folder)
    return folder


def install(folder: Path) -> Path:
    """The method of the README as an installed package: its modules, and the dist-info that pip would make."""
    for name, text in METHOD_FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    said = tomllib.loads(METHOD_FILES["pyproject.toml"])["project"]
    info = folder / f"{said['name']}-{said['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {said['name']}\nVersion: {said['version']}\n")
    groups = said["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in of.items()) for group, of in groups]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder


def test_all_blocks_are_executed_but_these() -> None:
    assert [block.not_run for block in BLOCKS if block.not_run] == [
        "a server that stays",
        "downloads from the dataset's host",
    ]
    assert {block.language for block in BLOCKS} == {"bash", "python", "text", "toml", "yaml"}


def test_the_two_commands_differ_in_what_they_run_alone() -> None:
    for command in (FIRST_RUN, FIRST_TESTS):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e ")
        assert command.count("\n") == 1
    run, tests = (shlex.split(command.split("&&")[-1]) for command in (FIRST_RUN, FIRST_TESTS))
    assert run == [".venv/bin/ticketlab", "run", "specs/quickstart.yaml"]
    assert tests[0] == ".venv/bin/pytest"


def test_ci_runs_the_tests_as_the_readme_does() -> None:
    steps = [shlex.split(line.split("|")[0], comments=True) for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    _, install, tests = (shlex.split(part) for part in FIRST_TESTS.split("&&"))
    assert [word.replace("[test]", "[dev]").replace(".venv/bin/", "") for word in install] in steps
    assert [word.replace(".venv/bin/", "") for word in tests] in steps


def test_the_set_up_installs_versions_that_are_pinned_and_match() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
    )
    assert (pins["torch"], pins["torchvision"]) == ("2.14.1", "0.29.1")
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*asked["dependencies"], *(one for extra in asked["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[\[<>=]", one)[0].lower() for one in wanted} - {"ticketlab"}
    assert names <= {name.lower() for name in pins}


def test_every_spec_in_the_readme_is_valid_and_the_first_is_the_quickstart(tmp_path: Path) -> None:
    pages = [block.text for block in BLOCKS if block.language == "yaml"]
    assert pages[0] == (ROOT / "specs" / "quickstart.yaml").read_text()
    for number, page in enumerate(pages):
        file = tmp_path / f"{number}.yaml"
        file.write_text(page)
        assert ticketlab.load_spec(file).cells


def test_links_lead_to_files_that_are_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_command_is_in_the_readme() -> None:
    said = "\n".join(block.text for block in BLOCKS if block.language == "bash")
    listed = re.findall(r"^  (\w+)  ", shell("ticketlab --help", ROOT).partition("Commands:")[2], re.MULTILINE)
    assert listed
    assert [name for name in listed if f"ticketlab {name}" not in said] == []


def assert_a_quarter_is_kept(folder: Path) -> None:
    """By ticket and random mask, up to the rounding of so few weights; and all by the dense network."""
    found = {arm: metrics["density"] for arm, metrics in json.loads((folder / "metrics.json").read_bytes()).items()}
    assert found == {"ticket": pytest.approx(0.25, abs=0.005), "dense": 1, "random": found["ticket"]}


def test_programs_and_commands_run_as_they_stand_in_a_project(project: Path) -> None:
    programs = [block.text for block in BLOCKS if block.runs("python") and not block.text.startswith(METHOD_SIGN)]
    one_after_the_other = "import json, sys\nfor text in json.loads(sys.argv[1]): exec(text, {}), print('----')"
    command = [sys.executable, "-c", one_after_the_other, json.dumps(programs)]
    said = [part.splitlines() for part in shell(shlex.join(command), project).split("----\n")]
    assert said[0][0] == "[200]"
    assert [line.split()[0] for line in said[0][-3:]] == ["ticket", "dense", "random"]
    assert said[1][0].startswith("magnitude 2 ")
    assert said[2][-1] == "Mask(2 layers, 310 of 3096 kept)"
    assert_a_quarter_is_kept(project / "runs" / "quickstart")

    lines = shell(COMMANDS, project).splitlines()
    assert "specs/quickstart.yaml: nothing to do; results in runs/quickstart" in lines
    assert any(line.startswith("6 entries, each naming the one before it") for line in lines)
    assert any(re.match(r"spec +seed: 0 -> 1", line) for line in lines)
    assert not any(line.startswith("BAD") for line in lines)
    committed = shell("git add dvc.lock ledger.jsonl runs && git ls-files runs", project).splitlines()
    assert [name for name in committed if name.endswith(("safetensors", "npz"))] == []
    assert {"runs/quickstart/results.md", "runs/quickstart/ticket/samples.png"} <= set(committed)


def test_own_images_become_a_dataset(project: Path) -> None:
    for number in range(24):
        picture = project / "photos" / ("roses" if number % 2 else "weeds") / f"{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 36), (10 * number, 100, 200 - number)).save(picture)
    shell(OWN_IMAGES, project)
    assert "garden" in json.loads((project / "specs" / "datasets.json").read_bytes())
    assert re.search(r"garden +here +\d+ \+ \d+ images, 3x32x32, 2 classes", shell("ticketlab datasets", project))


def test_the_method_that_is_added_draws_tickets(project: Path, tmp_path: Path) -> None:
    said = shell(METHOD_COMMANDS, project, install(tmp_path / "site"))
    assert re.search(r"^lamp +squared magnitude", said, re.MULTILINE)
    assert_a_quarter_is_kept(project / ".ticketlab" / "smoke" / "runs" / "quickstart+ticket.method-lamp")


def test_the_method_that_is_added_scores_as_its_paper_says(tmp_path: Path) -> None:
    """By hand: weights 3, -1, 2 and a pruned 5 in one layer, so 9/9, 1/14, 4/13, and 0."""
    program = """
import json, torch
import ticketlab.spec.spec  # as in a run: the language is read first, and brings its methods with it
from lamp.scores import scores
from ticketlab.randomness import Key
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.subject import Subject
weights = {"net.a": torch.tensor([[3.0, -1.0], [2.0, 5.0]]), "net.b": torch.zeros(2)}
mask = Mask({"net.a": torch.tensor([[True, True], [True, False]]), "net.b": torch.ones(2, dtype=torch.bool)})
print(json.dumps({name: score.tolist() for name, score in scores(None, Subject(weights, mask, Key(0))).items()}))
"""
    said = shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(program)}", tmp_path, install(tmp_path / "site"))
    found = json.loads(said)
    assert found["net.a"][0] == pytest.approx([1, 1 / 14])
    assert found["net.a"][1] == pytest.approx([4 / 13, 0])
    assert found["net.b"] == [0, 0]


def test_a_method_may_ask_what_every_method_may() -> None:
    """The README says that schedule, scope and rewinding come from the lab: they are fields of `Drawn`."""
    assert {"schedule", "scope", "rewind", "networks", "layers"} <= set(Drawn.model_fields)
