"""Several pictures in one run of a model, where the provider gains by that.

A card is launched as often for four pictures as for one, and computes them side by side. Whether
that is quicker than one after another is tried out on the card itself, with the answers compared.
"""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stream.assets import demo_picture
from stream.errors import first_line
from stream.inference.batched import of_picture
from stream.inference.canvases import Size
from stream.inference.contract import INPUT, Geometry
from stream.inference.on_device import infer
from stream.inference.onnx_runtime import InferenceSession
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.inference.sizes import Handles

logger = logging.getLogger(__name__)

COUNTS = (2, 4)
"""So many pictures at once are tried; three go as two and one, as each number needs a session."""

GAIN = 0.9
"""Share of the time one after another that a run of several may take to be worth it."""

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
    """What a number of pictures at once took.

    Attributes:
        count: how many.
        alone: seconds a picture, one after another.
        together: likewise, all at once.
    """

    count: int
    alone: float
    together: float

    @property
    def share(self) -> float:
        """Of the time that they take one after another."""
        return self.together / self.alone


def worth_it(trials: Sequence[Trial]) -> tuple[int, ...]:
    """Which numbers of pictures gain enough, each more than those before it."""
    best, kept = GAIN, list[int]()
    for trial in trials:
        if trial.share <= best:
            best = trial.share
            kept.append(trial.count)
    return tuple(kept)


class Batches:
    """Sessions of one model for several pictures; may be used from several threads.

    Attributes:
        trials: what was measured, one for each number of pictures; none before the first `prepare`.
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

    @property
    def most(self) -> int:
        """How many pictures go at once at most; 1 where each goes alone."""
        with self._lock:
            return max((count for one in self._open.values() for count in one), default=1)

    def counts(self, size: Size) -> Sequence[int]:
        """How many pictures of this size may go at once, besides one."""
        with self._lock:
            return tuple(self._open.get(size, ()))

    @property
    def remark(self) -> str:
        """What came of trying, for people; "" before."""
        with self._lock:
            if self._cause:
                return f"pictures of several sources are inferred one by one: {self._cause}"
            told = ", ".join(
                f"{one.count} in {100 * one.share:.0f}% of the time that they take one by one"
                for one in self.trials
                if one.count in self._counts
            )
            return f"pictures of several sources are inferred at once: {told}" if told else ""

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

        That takes seconds. Who asks while that is under way does not wait for it.
        """
        if not self._preparing.acquire(blocking=False):
            return
        try:
            if self._counts and size not in self._open:
                self._prepare(size)
        except Exception as error:  # noqa: BLE001 - a card may run out of memory in any way
            self._give_up(first_line(error))
        finally:
            self._preparing.release()

    def _prepare(self, size: Size) -> None:
        fixed = {} if self._sides is None else dict(zip(self._sides, size, strict=True))
        opened = {count: self._make(count, fixed) for count in self._counts}
        pictures = _pictures(size, max(opened))
        if self.trials:
            # The first run is slow: a card plans and takes memory.
            for count, session in opened.items():
                self._run(session, pictures[:count])
        else:
            self._try(opened, self._handles.take(size), pictures)
        with self._lock:
            kept = {count: opened[count] for count in self._counts}
            if kept:
                self._open[size] = kept
            while len(self._open) > _KEPT:
                self._open.popitem(last=False)

    def _try(
        self,
        opened: Mapping[int, InferenceSession],
        single: InferenceSession,
        pictures: Sequence[Prepared],
    ) -> None:
        """Compares answers and times; keeps the numbers of pictures that are worth it."""
        names = self._outputs

        def alone(count: int) -> list[Raw]:
            return [Raw(*infer(single, names, {INPUT: one.tensor})) for one in pictures[:count]]

        trials: list[Trial] = []
        for count, session in opened.items():
            took: tuple[list[float], list[float]] = ([], [])
            for _ in range(_ROUNDS + 1):
                start = self._clock()
                wanted = alone(count)
                middle = self._clock()
                found = self._run(session, pictures[:count])
                took[0].append((middle - start) / count)
                took[1].append((self._clock() - middle) / count)
            if not all(map(_alike, wanted, found)):
                raise ValueError(f"{count} at once have other answers than one by one")
            trials.append(Trial(count, *(statistics.median(one[1:]) for one in took)))
        self.trials = tuple(trials)
        self._counts = worth_it(trials)
        if self._counts:
            logger.info("%s", self.remark)
        else:
            least = min(trials, key=lambda one: one.share)
            self._give_up(f"{least.count} at once take {100 * least.share:.0f}% of that time")

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
