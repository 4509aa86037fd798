"""Several pictures at once, in one run of a model or in runs side by side, where a card gains.

A card is launched as often for four pictures in one run as for one, and runs from several threads
overlap. Which of these is quicker than one after another, if any, is tried out on the card itself,
with the answers compared.
"""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import cv2
import numpy as np

from stream.assets import demo_picture
from stream.errors import StreamError, first_line
from stream.inference.batched import of_picture
from stream.inference.canvases import Size
from stream.inference.contract import INPUT, Geometry
from stream.inference.on_device import infer
from stream.inference.onnx_runtime import InferenceSession
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.inference.sizes import Handles
from stream.system.workers import Workers

logger = logging.getLogger(__name__)

COUNTS = (2, 4)
"""So many pictures at once are tried; three go as two and one, as each number needs a session."""

GAIN = 0.9
"""Share of the time one after another that several at once may take to be worth it."""

_KEPT = 2
"""Sizes of input that have such sessions at once: each needs memory for all its pictures."""

_ROUNDS = 5
_COMPARED = 5
"""The best answers of a picture are compared, however low they score."""

_CLOSE_BOX, _CLOSE_SCORE, _CLOSE_MASK = 2.0, 0.05, 0.05
"""Pixels, scores and levels of a mask in the mean by which answers may differ: a card may sum up
in another order. A graph that mixed up its pictures would be far beyond."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a number of pictures at once took, in seconds a picture.

    Attributes:
        count: how many.
        alone: one after another.
        apart: in runs of their own, from as many threads.
        together: in one run; None where that cannot be had.
    """

    count: int
    alone: float
    apart: float
    together: float | None


def choose(trials: Sequence[Trial]) -> tuple[tuple[int, ...], int]:
    """What is quickest, where it gains enough.

    Returns:
        Which numbers of pictures go in one run, each with more gain than those before it; and where
        runs side by side gain more than any, none, and how many of these there should be, else 1.
    """
    best, counts = GAIN, list[int]()
    for one in trials:
        if one.together is not None and one.together <= best * one.alone:
            best = one.together / one.alone
            counts.append(one.count)
    quickest = min(trials, key=lambda one: one.apart / one.alone)
    share = quickest.apart / quickest.alone
    if share < best or (not counts and share <= best):
        return (), quickest.count
    return tuple(counts), 1


class Batches:
    """Sessions of one model for several pictures; may be used from several threads.

    Attributes:
        trials: what was measured, one for each number of pictures; none before the first `prepare`.
        obstacle: why several do not go in one run; "" where they could, and before.
        apart: how many runs of one picture each are best under way at once; 1 before.
    """

    def __init__(
        self,
        make: Callable[[int, Mapping[str, int]], InferenceSession],
        handles: Handles,
        outputs: Sequence[str],
        sides: tuple[str, str] | None,
        *,
        counts: Sequence[int] = COUNTS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Opens nothing yet.

        Args:
            make: opens a session for so many pictures whose sides of those names are fixed so;
                raises ValueError where the model has no such file.
            handles: the sessions for one picture.
            outputs: the names of what is asked of the model, in the order of `Raw`.
            sides: the names of the input's width and height; None where the file fixes them.
            counts: the numbers of pictures that are tried, the smallest first.
            clock: seconds that only go forward.
        """
        self._make = make
        self._handles = handles
        self._outputs = list(outputs)
        self._sides = sides
        self._clock = clock
        self._lock = threading.Lock()
        self._preparing = threading.Lock()
        self._open: OrderedDict[Size, dict[int, InferenceSession]] = OrderedDict()
        self._counts = tuple(counts)
        self._cause = ""
        self.trials: tuple[Trial, ...] = ()
        self.obstacle = ""
        self.apart = 1

    @property
    def most(self) -> int:
        """How many pictures go in one run at most; 1 where each has its own."""
        with self._lock:
            return max((count for one in self._open.values() for count in one), default=1)

    def counts(self, size: Size) -> Sequence[int]:
        """How many pictures of this size may go in one run, besides one."""
        with self._lock:
            return tuple(self._open.get(size, ()))

    @property
    def remark(self) -> str:
        """What came of trying, for people; "" before."""
        with self._lock:
            if self._cause:
                return f"pictures of several sources are inferred one by one: {self._cause}"
            told = [
                *(
                    _said(one.count, "in one run", one.together, one.alone)
                    for one in reversed(self.trials)
                    if one.count in self._counts and one.together is not None
                ),
                *(
                    _said(one.count, "side by side", one.apart, one.alone)
                    for one in self.trials
                    if one.count == self.apart
                ),
            ]
        return f"pictures of several sources are inferred at once: {told[0]}" if told else ""

    def infer(self, pictures: Sequence[Prepared]) -> list[Raw]:
        """Runs the model on pictures of one size, as many as `counts` allows.

        Where that fails, no more are taken together.

        Raises:
            Exception: whatever ONNX Runtime raises.
        """
        with self._lock:
            session = self._open.get(pictures[0].geometry.size, {}).get(len(pictures))
        if session is None:
            raise ValueError("no session for so many pictures")
        try:
            return self._run(session, pictures)
        except Exception as error:
            self._give_up(first_line(error))
            raise

    def prepare(self, size: Size) -> None:
        """Opens sessions for inputs of this size, and tries the first ones.

        That takes seconds and much of the machine. Who asks while it is under way waits for it: a
        source that began beside it would lose its first frames.
        """
        with self._preparing:
            try:
                # What was tried and found not worth it is not tried again.
                if self._counts and size not in self._open:
                    self._prepare(size)
            except Exception as error:  # noqa: BLE001 - a card may run out of memory in any way
                self._give_up(first_line(error))

    def _prepare(self, size: Size) -> None:
        pictures = _pictures(size, max(self._counts))
        if self.trials:
            opened = self._opened(size)
            # The first run is slow: a card plans and takes memory.
            for count, session in opened.items():
                self._run(session, pictures[:count])
        else:
            opened = self._try(size, pictures)
        with self._lock:
            kept = {count: opened[count] for count in self._counts}
            if kept:
                self._open[size] = kept
            while len(self._open) > _KEPT:
                self._open.popitem(last=False)

    def _opened(self, size: Size) -> dict[int, InferenceSession]:
        fixed = {} if self._sides is None else dict(zip(self._sides, size, strict=True))
        return {count: self._make(count, fixed) for count in self._counts}

    def _try(self, size: Size, pictures: Sequence[Prepared]) -> dict[int, InferenceSession]:
        """Measures and compares all ways, and keeps to the quickest; gives what it opened."""
        opened: dict[int, InferenceSession] = {}
        try:
            opened = self._opened(size)
        except (ValueError, StreamError) as error:
            self.obstacle = first_line(error)
        single = self._handles.take(size)
        trials = []
        for count in self._counts:
            try:
                trial = self._measured(pictures[:count], single, opened.get(count))
            except Exception as error:
                if count not in opened:
                    raise
                self.obstacle = first_line(error)
                trial = self._measured(pictures[:count], single, None)
            trials.append(trial)
        self.trials = tuple(trials)
        counts, self.apart = choose(trials)
        if counts or self.apart > 1:
            with self._lock:
                self._counts = counts
            logger.info("%s", self.remark)
        else:
            least = min(min(one.apart, one.together or one.apart) / one.alone for one in trials)
            cause = f"several at once take {100 * least:.0f}% of that time"
            self._give_up(self.obstacle or cause)
        return opened

    def _measured(
        self,
        pictures: Sequence[Prepared],
        single: InferenceSession,
        several: InferenceSession | None,
    ) -> Trial:
        """What pictures take in each way.

        Raises:
            ValueError: their answers in one run are others.
        """
        count = len(pictures)

        def alone(one: Prepared) -> Raw:
            return Raw(*infer(single, self._outputs, {INPUT: one.tensor}))

        took: list[list[float]] = []
        with closing(Workers(count, "stream-trial")) as pool:
            for _ in range(_ROUNDS + 1):
                times = [self._clock()]
                wanted = [alone(one) for one in pictures]
                times.append(self._clock())
                side_by_side = [pool.submit(partial(alone, one)) for one in pictures]
                for one in side_by_side:
                    one.result()
                times.append(self._clock())
                if several is not None:
                    found = self._run(several, pictures)
                    times.append(self._clock())
                    if not all(map(_alike, wanted, found)):
                        raise ValueError(f"{count} in one run have other answers")
                took.append([(after - before) / count for before, after in pairwise(times)])
        # The first round is slow: a card plans and takes memory.
        medians = [statistics.median(one) for one in zip(*took[1:], strict=True)]
        return Trial(count, medians[0], medians[1], medians[2] if several else None)

    def _run(self, session: InferenceSession, pictures: Sequence[Prepared]) -> list[Raw]:
        places = range(len(pictures))
        names = [of_picture(name, place) for place in places for name in self._outputs]
        images = {of_picture(INPUT, place): pictures[place].tensor for place in places}
        found = infer(session, names, images)
        each = len(self._outputs)
        return [Raw(*found[place * each : (place + 1) * each]) for place in places]

    def _give_up(self, cause: str) -> None:
        with self._lock:
            self._open.clear()
            self._counts, self._cause = (), cause
        logger.info("%s", self.remark)


def _said(count: int, how: str, seconds: float, alone: float) -> str:
    share = 100 * seconds / alone
    return f"up to {count} {how}, in {share:.0f}% of the time that they take one by one"


def _pictures(size: Size, count: int) -> list[Prepared]:
    """Inputs of that size: people, as in a mirror, nothing at all, and people in the dark."""
    people = np.asarray(cv2.resize(demo_picture(), size), np.uint8)
    different = [people, people[:, ::-1], np.full_like(people, 128), people // 2]
    where = Geometry(size, size, (0, 0), size)
    return [Prepared(np.ascontiguousarray(one)[None], where) for one in different[:count]]


def _alike(one: Raw, other: Raw) -> bool:
    """Whether the best answers of each are among the other's."""
    return _has(one, other) and _has(other, one)


def _has(one: Raw, other: Raw) -> bool:
    for place in range(min(_COMPARED, len(one.scores))):
        near = (
            (other.labels == one.labels[place])
            & (np.abs(other.scores - one.scores[place]) <= _CLOSE_SCORE)
            & (np.abs(other.boxes - one.boxes[place]).max(axis=1, initial=0) <= _CLOSE_BOX)
            & (np.abs(other.masks - one.masks[place]).mean(axis=(1, 2)) <= _CLOSE_MASK)
        )
        if not near.any():
            return False
    return True
