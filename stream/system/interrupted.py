"""Ctrl-C that has to wait for a moment."""

from __future__ import annotations

import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_GRACE_SECONDS = 2.0
_SOON_SECONDS = 0.05


@contextmanager
def interrupted_later() -> Iterator[None]:
    """While the block runs, Ctrl-C waits: `KeyboardInterrupt` is raised at its end.

    Left by it in the middle of waiting for threads, a program of somebody's would be taken down
    with these at work, which then crash it; and a library that is loaded may forget that it came,
    as ONNX Runtime does. What takes more than two seconds from the first Ctrl-C
    on is left by the next one all the same. Where the program has a handler of its own, or this is
    not its main thread, nothing changes.

    Raises:
        KeyboardInterrupt: Ctrl-C came meanwhile, and nothing else is leaving by it already.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(time.monotonic())
        if came[-1] - came[0] > _GRACE_SECONDS:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not came:
        return
    leaving = sys.exc_info()[1]
    if isinstance(leaving, GeneratorExit):
        # An iterator that is forgotten cannot raise anything: Python would say so and go on.
        again = threading.Timer(_SOON_SECONDS, interrupt_main)
        again.daemon = True
        again.start()
    elif not isinstance(leaving, KeyboardInterrupt):
        raise KeyboardInterrupt
