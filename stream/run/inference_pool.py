"""Preprocessing and inference of several frames of footage at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.run.figures import Job
from stream.run.finder import Detector
from stream.system.workers import Workers
from stream.timing import timed

Answer = tuple[Prepared, Raw]

_ROWS = 16
"""Every so many rows are compared first: pictures that differ mostly do so there."""

_WORTH_SAYING = 0.1
"""Share of all pictures: a camera leaves one out now and then."""


class InferencePool:
    """Works in threads of its own: preprocessing and inference.

    One thread more than the detector has workers, so that the next input is ready when a worker is
    free; where several compute on the processor's cores it infers too, so that no core waits while
    others have one of theirs. A picture that comes again exactly, as on title cards, slides and
    where a camera left out frames, has the answer that it had.

    Args:
        detector: whose steps they are.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        spare = detector.workers > 1 and not detector.spares_cores
        self._free = threading.Semaphore(detector.workers + spare)
        self._pool = Workers(detector.workers + 1, "stream-infer")
        self._answers = _Answers(detector.workers + 1)

    @property
    def ahead(self) -> int:
        """How many frames are under way at most, one in waiting included."""
        return self._detector.workers + 2

    @property
    def remarks(self) -> tuple[str, ...]:
        """How many pictures had an answer already, where that is why the run was so quick."""
        again = self._answers.repeated
        if not again or again < _WORTH_SAYING * self._answers.asked:
            return ()
        came, their = ("pictures", "their") if again > 1 else ("picture", "its")
        return (f"{again} {came} came again exactly, and kept {their} answer without inference",)

    def submit(self, job: Job) -> Future[Answer]:
        """Begins with a frame; its picture must not change until the result is there."""
        return self._pool.submit(partial(self._look, job))

    def _look(self, job: Job) -> Answer:
        stages = job.frame.stages
        with timed(stages, "preprocess"):
            prepared = self._detector.preprocess(job.frame.seen())

        def infer() -> Raw:
            with self._free, timed(stages, "infer"):
                return self._detector.infer(prepared)

        return prepared, self._answers.to(prepared, infer)

    def close(self) -> None:
        """Leaves what has not begun, waits for the rest."""
        self._pool.close()


class _Answers:
    """The answers to the last few pictures, some of them still under way. Any threads may ask.

    Args:
        kept: to how many; as many as may come between a picture and its repetition, which are those
            that other threads have in hand.
    """

    def __init__(self, kept: int) -> None:
        self._lock = threading.Lock()
        self._last: deque[tuple[Prepared, Future[Raw]]] = deque(maxlen=kept)
        self.asked = self.repeated = 0

    def to(self, prepared: Prepared, infer: Callable[[], Raw]) -> Raw:
        """A picture's answer: that of one of the last ones that is the same, or a new one.

        Raises:
            StreamError: inference failed, of this picture or of the one that it repeats.
        """
        mine: Future[Raw] = Future()
        with self._lock:
            self.asked += 1
            same = (kept for other, kept in reversed(self._last) if _same(prepared, other))
            known = next(same, None)
            if known is None:
                self._last.append((prepared, mine))
            else:
                self.repeated += 1
        if known is not None:
            return known.result()
        try:
            raw = infer()
        except BaseException as error:
            # Another thread may wait for it.
            mine.set_exception(error)
            raise
        mine.set_result(raw)
        return raw


def _same(one: Prepared, other: Prepared) -> bool:
    """Whether two pictures are the same to the model, every view of them."""
    if one.geometry != other.geometry or len(one.others) != len(other.others):
        return False
    first, second = one.tensor, other.tensor
    # What lies on a card would have to be brought here.
    if not (isinstance(first, np.ndarray) and isinstance(second, np.ndarray)):
        return False
    return _equal(first, second) and all(map(_same, one.others, other.others))


def _equal(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    few = np.array_equal(one[:, ::_ROWS], other[:, ::_ROWS])
    return few and np.array_equal(one, other)
