"""The labelled images of a split as a network sees them, wherever they lie: by index, in order, or as an endless stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ticketlab.datasets.labels import Labelling
    from ticketlab.randomness import Key

    Windows = Callable[[Tensor, Key], Tensor]
    """From sides (B, 2) in pixels, height first, to a window in each: top, left, height, width, int64 (B, 4)."""


class Windowed(Protocol):
    """An augmentation, as far as it matters to whoever opens pictures."""

    @property
    def window(self) -> Windows | None:
        """What it cuts out of pictures of any shape, for one that can do this before they are squares."""
        ...


Augmentation = TypeVar("Augmentation", bound=Windowed)


class Stream(Protocol):
    """Batches of (uint8 images, labels) by number, on the device."""

    def at(self, number: int) -> tuple[Tensor, Tensor]:
        """The batch of that number; depends on nothing but the number and what the stream was made of."""
        ...


class ImageSet(ABC):
    """Images of one size with their `labels` (N, ...), on one device; `labelling` is the kind of label.

    A module of ticketlab.datasets opens each kind of dataset (`Manifest.opened_by`), all by a function that is called
    with the project's folder, the manifest, a split, a side in pixels (None: the dataset's own), how images fit it, which
    are `Chosen`, the device, and how many processes may help.
    """

    labels: Tensor
    labelling: Labelling

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def take(self, indices: Tensor) -> Tensor:
        """The images uint8 (B, C, S, S) at indices int64 (B,) of any device. DataError for more than memory should hold."""

    @abstractmethod
    def parts(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images and labels once, in order, `batch` at a time, the last part shorter."""

    @abstractmethod
    def stream(
        self, batch: int, key: Key, augmenters: Sequence[Augmentation]
    ) -> AbstractContextManager[tuple[Stream, Sequence[Augmentation]]]:
        """An endless stream through keyed orders of all images, and those of the augmenters that are left to be applied.

        What is done while an image is opened is not left. Nothing is asked of the stream after the context.
        """
