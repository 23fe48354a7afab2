"""Reading DVC's files without calling DVC: what is versioned with which md5, and which stages belong to a spec."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ticketlab.errors import TrackingError

_ITEM = re.compile(r"\$\{\s*item\.(\w+)\s*\}")


def md5_of(project: Path, path: str) -> str | None:
    """The md5 DVC has on record for `path` (".dir" at the end for a folder): in `<path>.dvc`, or as an out in dvc.lock.

    None if DVC does not know the path; a path inside a versioned folder has no md5 of its own. Evidence it is not: the
    ledger has our sha256 beside it.
    """
    wanted = PurePosixPath(path)
    documents = [(wanted.parent, outs) for outs in [_read(project / f"{path}.dvc").get("outs", [])]]
    stages = _read(project / "dvc.lock").get("stages", {})
    documents += [(PurePosixPath("."), stage.get("outs", [])) for stage in stages.values()]
    for folder, outs in documents:
        for out in outs:
            if folder / out["path"] == wanted:
                return str(out["md5"])
    return None


def stage_of(project: Path, spec_path: str, command: str = "run") -> str | None:
    """The stage in dvc.yaml whose command is `ticketlab COMMAND SPEC_PATH`, e.g. `run@quickstart`, or None."""
    wanted = ["ticketlab", command, str(PurePosixPath(spec_path))]
    for name, stage in _read(project / "dvc.yaml").get("stages", {}).items():
        for label, item in _cells(stage.get("matrix", {})):
            if any(shlex.split(line)[:3] == wanted for line in _commands(stage, item)):
                return f"{name}@{label}" if label else str(name)
    return None


def stages_of(project: Path, spec_path: str) -> list[str]:
    """The stages of a spec in order of dependence, statistics before run; empty if dvc.yaml does not name the spec."""
    found = (stage_of(project, spec_path, command) for command in ("statistics", "run"))
    return [stage for stage in found if stage is not None]


def _commands(stage: dict[str, Any], item: dict[str, str]) -> Iterator[str]:
    """The command lines of a stage (one, or a list) for one cell of its matrix."""
    written = stage.get("cmd", "")
    for line in written if isinstance(written, list) else [written]:
        yield _filled(str(line), item)


def _cells(matrix: dict[str, list[Any]]) -> Iterator[tuple[str, dict[str, str]]]:
    """DVC's labels and values of a matrix; a stage without one is a single cell without a label."""
    for values in itertools.product(*matrix.values()):
        item = {key: str(value) for key, value in zip(matrix, values, strict=True)}
        yield "-".join(item.values()), item


def _filled(template: str, item: dict[str, str]) -> str:
    return _ITEM.sub(lambda found: item.get(found[1], found[0]), template)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = YAML(typ="safe", pure=True).load(path)
    except YAMLError as problem:
        raise TrackingError(f"no YAML can be read from it: {problem}", where=str(path), mend="restore it") from problem
    return content if isinstance(content, dict) else {}
