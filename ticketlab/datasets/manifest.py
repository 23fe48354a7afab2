"""What a pack says about itself in dataset.json, readable without torch and, for known datasets, without the pack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import DataError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.spec.catalog import KNOWN, NAME, DatasetFacts
from ticketlab.spec.labelling import label_kind

SplitName = Literal["train", "test"]
Kept = Literal["pack", "index"]

_ENDINGS: dict[Kept, str] = {"pack": ".safetensors", "index": ".tsv"}
_OPENED_BY: dict[Kept, str] = {
    "pack": "ticketlab.datasets.held:opened",
    "index": "ticketlab.datasets.streamed:opened",
}

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Positive = Annotated[int, Field(ge=1)]


class Manifest(BaseModel):
    """The description of a packed dataset: shape, labels, class names, image counts, pixel moments, origin, digests.

    `labels` is the kind of label; packs from before there were others do not say that theirs are classes. Neither do they
    say how they are `kept`: as a pack, or as an index of pictures that stay where they are and are opened as needed.
    `mean` and `std` are per channel over the training split, of pixels in [0, 1]; `sha256` has one digest per split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    channels: Literal[1, 3]
    size: _Positive
    labels: str = "class"
    classes: tuple[str, ...] = Field(min_length=1)
    counts: dict[SplitName, _Positive] = Field(min_length=2)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str
    source: str
    sha256: dict[SplitName, _Digest] = Field(min_length=2)
    kept: Kept = "pack"

    @property
    def files(self) -> dict[SplitName, str]:
        """The name, in the dataset's folder, of the file whose sha256 is that of a split."""
        return {split: split + _ENDINGS[self.kept] for split in self.sha256}

    @property
    def opened_by(self) -> str:
        """The function ("module:name") that opens a split as an `ImageSet`."""
        return _OPENED_BY[self.kept]

    def digest(self, split: SplitName) -> str:
        """The sha256 of the file that holds `split`."""
        return self.sha256[split]

    @property
    def content(self) -> str:
        """sha256 over all of a dataset that reaches a network: the splits, and the moments by which pixels are scaled."""
        moments = {"mean": list(self.mean), "std": list(self.std)}
        return sha256_bytes(canonical_json({"sha256": self.sha256, **moments}))

    @property
    def shape(self) -> ImageShape:
        """The shape of the images, as the networks need to know it."""
        return ImageShape(self.channels, self.size, len(self.classes))


def pack_folder(project: Path, name: str) -> Path:
    """Where the pack of a dataset lies; DataError for a name that cannot be a folder of `data/`."""
    if not NAME.fullmatch(name):
        raise DataError(
            f"{name!r} cannot be the name of a dataset",
            mend="use lower-case letters, digits, dots, dashes and underscores, beginning with a letter or a digit",
        )
    return project / "data" / name


def read_manifest(project: Path, name: str) -> Manifest:
    """The manifest of a pack; for a known dataset that is not there yet, the one its pack will have.

    DataError if there is neither, if dataset.json cannot be read, or if a pack under a known name is not the known one.
    """
    path = pack_folder(project, name) / "dataset.json"
    known = KNOWN.get(name)
    if path.is_file():
        found = _parsed(path, name)
        if known:
            refuse_unlike(found, known, str(path.parent))
        return found
    promised = known and promise(known)
    if not promised:
        raise missing(project, name)
    return promised


def promise(known: DatasetFacts) -> Manifest | None:
    """The manifest a known dataset's pack must have; None where its digests are not known."""
    if not known.pinned:
        return None
    return Manifest.model_validate(
        {**_pinned_facts(known), "name": known.name, "licence": known.licence, "source": known.source}
    )


def _pinned_facts(known: DatasetFacts) -> dict[str, Any]:
    """The manifest fields that are known of a dataset."""
    fields: dict[str, Any] = {
        "channels": known.channels,
        "size": known.size,
        "labels": known.labels,
        "kept": "index" if known.streamed else "pack",
        "counts": {"train": known.train, "test": known.test},
    }
    if known.class_names:
        fields |= {"classes": known.class_names}
    if known.pinned:
        fields |= {"sha256": {"train": known.pinned.train, "test": known.pinned.test}}
        fields |= {"mean": known.pinned.mean, "std": known.pinned.std}
    return fields


def refuse_unlike(found: Manifest, known: DatasetFacts, where: str) -> None:
    """DataError if a pack that bears a known name is not what is known of it; licence and source are only words."""
    wrong = [field for field, value in _pinned_facts(known).items() if getattr(found, field) != value]
    if len(found.classes) != known.classes and "classes" not in wrong:
        wrong.append("classes")
    if wrong:
        raise DataError(
            f"this is not the {known.name} that ticketlab knows: {', '.join(wrong)} differ",
            where=where,
            mend=f"get it again with `{how_to_get(known.name)}`, or add these under another name with --name NAME",
        )


def missing(project: Path, name: str) -> DataError:
    """The error for a pack that is not there."""
    return DataError(
        f"the dataset {name} is not in this project",
        where=str(pack_folder(project, name)),
        mend=f"get it with `{how_to_get(name)}`",
    )


def how_to_get(name: str) -> str:
    """The command that brings a dataset."""
    if name == "fashion-mnist-mini":
        return "dvc pull"
    if name not in KNOWN:
        return f"ticketlab data add imagefolder --from DIR --name {name}"
    return f"ticketlab data add {name}" + " --from DIR" * KNOWN[name].streamed


def _parsed(path: Path, name: str) -> Manifest:
    """The manifest in a file, checked in itself."""
    mend = f"get the dataset again with `{how_to_get(name)}`"
    try:
        found = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"not a dataset description: {place}: {first['msg']}", where=str(path), mend=mend) from None
    if found.name != name or not len(found.mean) == len(found.std) == found.channels:
        raise DataError("not the description of this dataset: name or channels disagree", where=str(path), mend=mend)
    label_kind(found.labels, where=str(path))
    return found
