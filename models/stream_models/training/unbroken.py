"""Ctrl-C and SIGTERM between batches: what a batch changes is changed as a whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from stream.errors import StreamError
from stream.run.interrupt import Ended
from stream_models.training.out import CHECKPOINT

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
            raise Ended(seen[0])

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

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise Ended(number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def resumable(out: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """What a command that learns does where its run does not come to its end.

    Args:
        out: the run's folder.
        tell: takes a sentence for who waits.

    Raises:
        StreamError: a picture or the folder broke on the way.
        KeyboardInterrupt: Ctrl-C or SIGTERM came.
    """
    try:
        with ended_as_interrupted():
            yield
    except (OSError, ValueError) as error:
        told = str(error)
        if isinstance(error, OSError) and error.strerror:
            told = error.strerror + (f": {error.filename}" if error.filename else "")
        raise StreamError(f"training stopped: {told}") from error
    except KeyboardInterrupt:
        if (out / CHECKPOINT).is_file():
            tell("interrupted; the same command takes the run up again")
        raise
