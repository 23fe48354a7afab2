"""Images that are too many to hold: pictures are opened as they are needed, by processes that run ahead of the network.

What a batch holds is a function of the index, the key and the batch's number: neither the number of processes nor where
a run was resumed can change a bit of it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ticketlab.datasets.image_set import Augmentation, ImageSet
from ticketlab.datasets.index import Index, Picture, read_index
from ticketlab.datasets.labels import CLASSES
from ticketlab.datasets.order import Order
from ticketlab.datasets.pictures import open_centre, open_window, refuse_many
from ticketlab.datasets.places import pictures_of
from ticketlab.errors import DataError
from ticketlab.randomness import Key

if TYPE_CHECKING:
    from ticketlab.datasets.chosen import Chosen
    from ticketlab.datasets.image_set import Windows
    from ticketlab.datasets.manifest import Manifest, SplitName

AHEAD = 2
"""Batches that each helping process has ready or is at work on."""

_PART = 64
"""Pictures that are opened together where somebody asks for single ones."""


def opened(
    project: Path,
    manifest: Manifest,
    split: SplitName,
    size: int | None,
    fit: Literal["resize", "pad"],
    chosen: Chosen,
    device: torch.device,
    workers: int,
) -> Streamed:
    """The pictures of an index; see `ImageSet`. DataError where the index or the folder of the pictures is not there."""
    assert fit == "resize", "what is cut out of pictures fits any size"
    index = read_index(project, manifest, split)
    folder = pictures_of(project, manifest.name)
    numbers = chosen.numbers(index.labels)
    numbers = torch.arange(len(index.labels)) if numbers is None else numbers
    labels = chosen.named(index.labels[numbers])
    return Streamed(index, numbers, labels, folder, size or manifest.size, device, workers)


class Streamed(ImageSet):
    """Pictures of an index, those at `numbers` under their `labels`, cut to `size` pixels as they are opened."""

    labelling = CLASSES

    def __init__(
        self,
        index: Index,
        numbers: Tensor,
        labels: Tensor,
        folder: Path,
        size: int,
        device: torch.device,
        workers: int,
    ) -> None:
        self.labels = labels.to(device)
        self._index = index
        self._numbers = numbers
        self._opener = _Opener(folder, size)
        self._size = size
        self._device = device
        self._workers = workers

    def take(self, indices: Tensor) -> Tensor:
        """The centres of some pictures, all in memory at once."""
        refuse_many(len(indices), 3 * self._size**2, "the pictures asked for")
        pieces = [piece.tolist() for piece in torch.split(indices.cpu(), _PART)]
        return torch.cat(list(self._opened((self._wanted(piece) for piece in pieces), len(pieces))))

    def parts(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The centres of all pictures in order."""
        pieces = torch.split(torch.arange(len(self)), batch)
        images = self._opened((self._wanted(piece.tolist()) for piece in pieces), len(pieces))
        yield from zip(images, torch.split(self.labels, batch), strict=True)

    @contextmanager
    def stream(
        self, batch: int, key: Key, augmenters: Sequence[Augmentation]
    ) -> Iterator[tuple[StreamedBatches, Sequence[Augmentation]]]:
        """Batches opened ahead; an augmenter that cuts windows is done with as it cuts them out of whole pictures."""
        windows = [one.window for one in augmenters if one.window is not None]
        stream = StreamedBatches(self, Order(len(self), batch, key), key, windows[0] if windows else None)
        try:
            yield stream, [one for one in augmenters if one.window is None]
        finally:
            stream.close()

    def _wanted(self, indices: Sequence[int], key: Key | None = None, windows: Windows | None = None) -> list[_Wanted]:
        """What is asked of whoever opens pictures: each with the key of its own draws."""
        pictures = [self._index.picture(int(self._numbers[index])) for index in indices]
        if key is None or windows is None:
            return [_Wanted(picture) for picture in pictures]
        return [_Wanted(picture, key.of(place), windows) for place, picture in enumerate(pictures)]

    def _opened(self, wanted: Iterable[list[_Wanted]], most: int = AHEAD) -> Iterator[Tensor]:
        """The images of one request after another, on the device; `most` is how many requests there may be."""
        workers = min(self._workers, most)
        for images in DataLoader(
            self._opener,
            batch_sampler=wanted,
            num_workers=workers,
            collate_fn=_stacked,
            prefetch_factor=AHEAD if workers else None,
            pin_memory=self._device.type == "cuda",
            worker_init_fn=_begin_to_help,
            # A script without `if __name__ == "__main__"` would be run again by a process that is not a fork.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            # Without a generator of its own the loader would draw from the one of the process.
            generator=torch.Generator().manual_seed(0),
        ):
            if isinstance(images, DataError):
                raise images
            yield images.to(self._device, non_blocking=True)


class StreamedBatches:
    """Batches of a streamed set by number, those after the last one asked for being opened meanwhile."""

    def __init__(self, source: Streamed, order: Order, key: Key, windows: Windows | None) -> None:
        self._source = source
        self._order = order
        self._key = key
        self._windows = windows
        self._next = 0
        self._running: Iterator[Tensor] | None = None

    def at(self, number: int) -> tuple[Tensor, Tensor]:
        """Images uint8 (B, 3, S, S) and labels int64 (B,) of one batch."""
        if self._running is None or number != self._next:
            self.close()
            self._running = self._source._opened(self._from(number), sys.maxsize)
        images = next(self._running)
        self._next = number + 1
        return images, self._source.labels[self._order.indices(number).to(images.device)]

    def close(self) -> None:
        """Let the helping processes go."""
        self._running = None

    def _from(self, number: int) -> Iterator[list[_Wanted]]:
        """All batches from that number on."""
        # Another order than that of `at`, which is behind: each remembers the epoch it is in.
        order = Order(self._order.total, self._order.batch, self._order.key)
        while True:
            key = self._key.of("window", number)
            yield self._source._wanted(order.indices(number).tolist(), key, self._windows)
            number += 1


@dataclass(frozen=True)
class _Wanted:
    """A picture, and the window to cut out of it: its centre, or one that is drawn."""

    picture: Picture
    key: Key | None = None
    windows: Windows | None = None


class _Opener(Dataset[Tensor | DataError]):
    """What the helping processes have: the folder and the size. All else comes with what is wanted."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size

    def __getitem__(self, wanted: _Wanted) -> Tensor | DataError:
        """One image uint8 (3, S, S), or what is wrong with its file: raised here, it would arrive as another error."""
        where = str(self._folder / wanted.picture.path)
        try:
            content = wanted.picture.read(self._folder)
            if wanted.windows is None or wanted.key is None:
                return open_centre(content, self._size, where)
            drawn, key = wanted.windows, wanted.key

            def window(height: int, width: int) -> tuple[int, int, int, int]:
                top, left, high, wide = drawn(torch.tensor([[height, width]]), key)[0].tolist()
                return top, left, high, wide

            return open_window(content, window, self._size, where)
        except DataError as problem:
            return problem


def _stacked(found: list[Tensor | DataError]) -> Tensor | DataError:
    """One batch, or the first thing that went wrong."""
    wrong = [one for one in found if isinstance(one, DataError)]
    return wrong[0] if wrong else torch.stack([one for one in found if isinstance(one, Tensor)])


def _begin_to_help(_: int) -> None:
    """Who interrupts a run from the keyboard speaks to the run; it sends its workers home."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
