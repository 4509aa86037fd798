"""Pictures of several sources that wait for one model, and go together."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.errors import ModelError
from stream.inference.batches import Batches
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared

logger = logging.getLogger(__name__)

Alone = Callable[[Prepared], Raw]
"""Infers one picture by itself."""


class Answer(NamedTuple):
    """A model's answer for one of several sources.

    Attributes:
        raw: as the model gives it.
        seconds: that it took; of those of a run of several, or of runs side by side, its share.
        pictures: how many went with it, itself included.
    """

    raw: Raw
    seconds: float
    pictures: int


@dataclass(slots=True, eq=False)
class _Asked:
    prepared: Prepared
    alone: Alone
    outcome: Answer | Exception = field(
        default_factory=lambda: ModelError("the inference was broken off")
    )
    done: bool = False


class Gatherer:
    """Who asks while the model runs goes with all others who do, as soon as it is free.

    Whoever asks of an idle model begins at once: nobody waits for pictures that are still to come.
    First come, first served; of one run all pictures are of one size. A run is done in the thread
    of the one who asked first, so nothing goes on where nobody asks, and who is no longer there
    when the answer comes has not kept anybody from theirs.

    Args:
        batches: runs several pictures at once.
        clock: seconds that only go forward.
    """

    def __init__(self, batches: Batches, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self.batches = batches
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[_Asked] = deque()
        self._busy = False
        self._side_by_side = 0

    @property
    def at_once(self) -> int:
        """How many may ask at once: those of one run, and those who wait for the next.

        Where runs of their own are quicker side by side, as many as that.
        """
        most = self.batches.most
        return self.batches.apart if most == 1 else 2 * most

    @property
    def waiting(self) -> int:
        """How many wait for a run to end."""
        with self._changed:
            return len(self._waiting)

    def __call__(self, prepared: Prepared, alone: Alone) -> Answer:
        """A picture's answer.

        Args:
            prepared: the picture.
            alone: infers it where nobody comes along.

        Raises:
            Exception: what `alone` raises for it; others have their answers.
        """
        asked = _Asked(prepared, alone)
        if self.batches.most == 1:
            return self._singly(asked)
        with self._changed:
            self._waiting.append(asked)
            self._changed.wait_for(lambda: asked.done or self._leads(asked))
            together = [] if asked.done else self._take()
        if together:
            try:
                self._infer(together)
            finally:
                with self._changed:
                    self._busy = False
                    for one in together:
                        one.done = True
                    self._changed.notify_all()
        if isinstance(asked.outcome, Exception):
            raise asked.outcome
        return asked.outcome

    def _leads(self, asked: _Asked) -> bool:
        return not self._busy and self._waiting[0] is asked

    def _take(self) -> list[_Asked]:
        """Those who go now: the first, and who waits with a picture as large."""
        size = self._waiting[0].prepared.geometry.size
        alike = [one for one in self._waiting if one.prepared.geometry.size == size]
        fit = [count for count in self.batches.counts(size) if count <= len(alike)]
        together = alike[: max(fit, default=1)]
        for one in together:
            self._waiting.remove(one)
        self._busy = True
        return together

    def _infer(self, together: Sequence[_Asked]) -> None:
        if len(together) > 1:
            began = self._clock()
            try:
                raws = self.batches.infer([one.prepared for one in together])
            except Exception as error:  # noqa: BLE001 - each is asked for by itself then
                logger.info("%d pictures at once failed: %s", len(together), error)
            else:
                share = (self._clock() - began) / len(together)
                for one, raw in zip(together, raws, strict=True):
                    one.outcome = Answer(raw, share, len(together))
                return
        for one in together:
            try:
                one.outcome = self._singly(one)
            except Exception as error:  # noqa: BLE001 - raised where it was asked for
                one.outcome = error

    def _singly(self, asked: _Asked) -> Answer:
        with self._changed:
            self._side_by_side += 1
            beside = self._side_by_side
        try:
            began = self._clock()
            raw = asked.alone(asked.prepared)
            # Those that run side by side take longer each, and share the card.
            return Answer(raw, (self._clock() - began) / beside, 1)
        finally:
            with self._changed:
                self._side_by_side -= 1
