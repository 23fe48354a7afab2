"""Limited data: which images of a split are kept, as an explicit list of indices."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from ticketlab.errors import DataError
from ticketlab.randomness import Key

if TYPE_CHECKING:
    from torch import Tensor

Rule = Literal["balanced", "uniform", "first"]


def draw(classes: Tensor, count: int, rule: Rule, key: Key) -> Tensor:
    """The indices int64 of the images kept out of those that show `classes` (N,): sorted, exactly `count` of them.

    balanced: equally many of each class that occurs, counts differing by at most one; uniform: any at random; first:
    the first in file order. With one key, a smaller subset lies inside every larger one. N images are all images,
    whatever the rule.
    DataError if `count` is not in 1..N or a class has too few images for a balanced subset.
    """
    import torch

    total = len(classes)
    if not 1 <= count <= total:
        raise DataError(f"{count} of {total} images cannot be drawn", mend=f"draw at least 1 and at most {total}")
    if rule == "first" or count == total:
        return torch.arange(count)
    if rule == "uniform":
        return torch.randperm(total, generator=key.of("uniform").generator())[:count].sort().values
    return _balanced(classes, count, key)


def _balanced(labels: Tensor, count: int, key: Key) -> Tensor:
    """Equally many of each class; the remainder goes to the first classes in a keyed order that have one more image."""
    import torch

    classes, sizes = torch.unique(labels, return_counts=True)
    share, remainder = divmod(count, len(classes))
    order = torch.randperm(len(classes), generator=key.of("remainder").generator())
    extra = {int(position) for position in order[sizes[order] > share][:remainder]}
    if int(sizes.min()) < share or len(extra) < remainder:
        raise DataError(
            f"a balanced subset of {count} images is not possible: "
            f"class {int(classes[sizes.argmin()])} has only {int(sizes.min())}",
            mend="keep fewer images, or set data.subset to uniform",
        )
    kept = []
    for position, label in enumerate(classes.tolist()):
        members = (labels == label).nonzero().squeeze(1)
        shuffled = members[torch.randperm(len(members), generator=key.of("class", label).generator())]
        kept.append(shuffled[: share + (position in extra)])
    return torch.cat(kept).sort().values


def indices_digest(indices: Tensor) -> str:
    """The sha256 of the indices as little-endian 64-bit whole numbers."""
    return hashlib.sha256(indices.cpu().numpy().astype("<i8").tobytes()).hexdigest()
