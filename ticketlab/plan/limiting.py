"""The choice of the training images that are kept: which classes, and how many of their images."""

from __future__ import annotations

from fractions import Fraction

from ticketlab.errors import DataError
from ticketlab.plan.steps import Images, Subset
from ticketlab.spec.spec import Spec


def numbers_of(classes: tuple[int | str, ...] | None) -> tuple[int, ...]:
    """The classes that a resolved spec names; none for all."""
    assert all(isinstance(entry, int) for entry in classes or ()), "the spec was not resolved"
    return tuple(entry for entry in classes or () if isinstance(entry, int))


def limited(spec: Spec, images: Images, total: int) -> Subset | None:
    """The step that chooses the images that are kept of the `total` in the training split; None where all are.

    Of chosen classes nobody knows yet how many images they have: a count is told as it is, a ratio as a share of them.
    DataError for a number of images that the split has not.
    """
    data = spec.data
    if images.chosen and data.count is None:
        share = Fraction(str(data.ratio or 1))
        return None if share == 1 else _subset(spec, images, 0, share.as_integer_ratio())
    kept = data.kept_of(total)
    if not 1 <= kept <= total:
        raise DataError(
            f"{kept} of {total} training images cannot be kept", mend=f"keep at least 1 and at most {total}"
        )
    return _subset(spec, images, kept, None) if images.chosen or kept < total else None


def _subset(spec: Spec, images: Images, count: int, share: tuple[int, int] | None) -> Subset:
    return Subset(
        dataset=images.dataset,
        dataset_digest=images.digest,
        opened_by=images.opened_by,
        count=count,
        share=share,
        chosen=images.chosen,
        rule=spec.data.subset,
        seed=spec.seed,
        labels=images.labels,
    )
