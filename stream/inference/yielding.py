"""Inference on a CPU that lets whatever else is to be computed go first."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar, cast

from stream.inference.onnx_runtime import InferenceSession
from stream.system.at_work import at_work
from stream.system.workers import Workers
from stream.types import Array

T = TypeVar("T")

_LATER = 10
"""Steps of niceness: where both want a core, it gets a tenth of what others get."""


class Background:
    """A thread that goes after others where the system can tell threads apart, which is Linux.

    Threads that begin in it go after others as well, those of ONNX Runtime and OpenVINO among them.
    A thread cannot be raised again, so nothing that others wait for is done in it: above all no
    more Python than it takes to call what computes without Python's lock.
    """

    def __init__(self) -> None:
        self._pool = Workers(1, "stream-model", _go_last)

    def __call__(self, function: Callable[[], T]) -> T:
        """What a function returns, or raises, that is called there."""
        return self._pool.submit(partial(_working, function)).result()


def _working(function: Callable[[], T]) -> T:
    # Whoever waits may be interrupted, and this may not.
    with at_work():
        return function()


class YieldingSession:
    """A session that computes in the background; see `InferenceSession`."""

    def __init__(self, session: InferenceSession, background: Background) -> None:
        self._session, self._background = session, background

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs of those names, None for all."""
        return self._background(partial(self._session.run, outputs, inputs))

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)


def yielding(
    make: Callable[[Mapping[str, int]], InferenceSession],
) -> Callable[[Mapping[str, int]], InferenceSession]:
    """What opens sessions, so that they compute in the background."""
    background = Background()

    def behind(fixed: Mapping[str, int]) -> InferenceSession:
        session = background(partial(make, fixed))
        return cast("InferenceSession", YieldingSession(session, background))

    return behind


def _go_last() -> None:
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(19, nice + _LATER))
