"""Both threads of an inference that is waited for on a core each, where there are two."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from stream.inference.onnx_runtime import InferenceSession
from stream.types import Array


class Cores(NamedTuple):
    """The two cores that this process may use, by their numbers.

    Attributes:
        own: of the thread that asks for an inference.
        other: of the thread that computes with it.
    """

    own: int
    other: int


def cores_of(threads: int) -> Cores | None:
    """Which core each of so many threads computes on; None where that is the system's to choose.

    Linux wakes the second thread on the first one's core now and then, if the other is busy for a
    moment with decoding, and leaves it there: one inference in ten took as long as on one thread.
    Live, 640x480 at 30 a second on two cores of an AMD EPYC (Zen 4), 95 of 100 pictures were shown
    after 20 to 23 ms; on a core each after 15 to 21. Two threads want
    both cores anyway. With more cores it was not tried.
    """
    cores = sorted(_allowed())
    return Cores(*cores) if threads == 2 == len(cores) else None


class TwoCoresSession:
    """A session whose caller stays on one core while it computes; see `InferenceSession`.

    A thread that its owner has put on a core stays there.
    """

    def __init__(self, session: InferenceSession, cores: Cores) -> None:
        self._session, self._cores = session, cores

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs of those names, None for all."""
        if _allowed() != set(self._cores) or not _put([self._cores.own]):
            return self._session.run(outputs, inputs)
        try:
            return self._session.run(outputs, inputs)
        finally:
            _put(self._cores)

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)


def on_two_cores(
    make: Callable[[Mapping[str, int]], InferenceSession], cores: Cores
) -> Callable[[Mapping[str, int]], InferenceSession]:
    """What opens sessions, so that who asks them stays on one core meanwhile."""

    def kept(fixed: Mapping[str, int]) -> InferenceSession:
        return cast("InferenceSession", TwoCoresSession(make(fixed), cores))

    return kept


def _allowed() -> set[int]:
    """The cores that this thread may use; none where the system does not say."""
    if sys.platform == "linux":
        return os.sched_getaffinity(0)
    else:
        return set()


def _put(cores: Iterable[int]) -> bool:
    """Puts this thread on cores; whether it is there, as they may have been taken meanwhile."""
    if sys.platform == "linux":
        try:
            os.sched_setaffinity(0, cores)
        except OSError:
            return False
        return True
    else:
        return False
