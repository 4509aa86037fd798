"""Both threads of an inference that is waited for on a core each, where there are two."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
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
    after 20 to 23 ms; on a core each after 15 to 21, half of the runs below 19. Two threads want
    both cores anyway. With more cores it was not tried.
    """
    if sys.platform != "linux" or threads != 2:
        return None
    cores = sorted(os.sched_getaffinity(0))
    return Cores(*cores) if len(cores) == 2 else None


class TwoCoresSession:
    """A session whose caller stays on one core while it computes; see `InferenceSession`.

    A thread that its owner has put on a core stays there.
    """

    def __init__(self, session: InferenceSession, cores: Cores) -> None:
        self._session, self._cores = session, cores

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs of those names, None for all."""
        if not self._kept({self._cores.own}):
            return self._session.run(outputs, inputs)
        try:
            return self._session.run(outputs, inputs)
        finally:
            os.sched_setaffinity(0, self._cores)

    def _kept(self, cores: set[int]) -> bool:
        if os.sched_getaffinity(0) != set(self._cores):
            return False
        try:
            os.sched_setaffinity(0, cores)
        except OSError:  # It was taken from this process meanwhile.
            return False
        return True

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)


def on_two_cores(
    make: Callable[[Mapping[str, int]], InferenceSession], cores: Cores
) -> Callable[[Mapping[str, int]], InferenceSession]:
    """What opens sessions, so that who asks them stays on one core meanwhile."""

    def kept(fixed: Mapping[str, int]) -> InferenceSession:
        return cast("InferenceSession", TwoCoresSession(make(fixed), cores))

    return kept
