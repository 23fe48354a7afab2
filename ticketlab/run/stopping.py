"""A clean stop on SIGINT or SIGTERM: the running step writes a checkpoint and the run ends with one line."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def clean_stop() -> Iterator[Callable[[], bool]]:
    """While open, the first signal only sets a wish to stop, which the function given tells; a second one kills.

    Outside the main thread (a notebook's worker, a server) signals cannot be caught and the wish never comes.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
