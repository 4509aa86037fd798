"""Ctrl-C and SIGTERM between batches: what a batch changes is changed as a whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def unbroken() -> Iterator[None]:
    """Lets a first Ctrl-C take effect when the block has ended, a second one at once.

    SIGTERM likewise, where it does what Ctrl-C does; see `ended_as_interrupted`.

    Raises:
        KeyboardInterrupt: it came; from within the block where it came twice.
    """
    # One that is ignored, or ends the process, stays so; signals reach the main thread only.
    before = {one: signal.getsignal(one) for one in _ENDING if callable(signal.getsignal(one))}
    if threading.current_thread() is not threading.main_thread() or not before:
        yield
        return
    seen: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > 1:
            raise KeyboardInterrupt

    for one in before:
        signal.signal(one, wait)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if seen:
        signal.raise_signal(seen[0])


@contextmanager
def ended_as_interrupted() -> Iterator[None]:
    """Lets SIGTERM, by which schedulers and containers end a program, do what Ctrl-C does.

    Raises:
        KeyboardInterrupt: it came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
