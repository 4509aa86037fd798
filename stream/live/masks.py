"""The instances of the present picture: inferred in time, or carried to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stream.frame import Frame
from stream.live.thinker import Answer, Question, Thinker
from stream.motion.carrier import Carrier
from stream.motion.flow import Grey, small_grey
from stream.timing import timed

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter
    from stream.tracking.base import Tracker

_PATIENCE = 0.75
"""Share of the time between two pictures that a picture waits for its own answer. The rest is for
painting and showing it."""

_LONGEST_REST = 2.0
"""How long inference pauses at most to let the display keep up, in its own durations."""


class PresentMasks:
    """Gives each picture of a live run its instances.

    Where the model is fast enough, a picture waits for its own answer. Else it is shown at once
    with the last answer, moved to it by the motion in between. The display goes first: where it
    cannot keep up with the camera although it waits for nothing, inference pauses between pictures.

    Args:
        segmenter: finds the objects.
        every: inference on every this many pictures at most; 1 infers on each picture that is
            shown, which then waits for it; None: as often as the display allows.
        tracker: says which object is which; None takes each inference for itself.
    """

    def __init__(
        self, segmenter: Segmenter, every: int | None = None, tracker: Tracker | None = None
    ) -> None:
        self._segmenter = segmenter
        self._every = every
        self._thinker = Thinker(segmenter, tracker)
        self._carrier = Carrier()
        self._key: Answer | None = None
        self._asked_index: int | None = None
        self._rest = 0.0
        self.interval = 1 / 30
        """Seconds between two pictures of the source; kept up to date by who knows."""
        self.inferred = 0
        self.carried = 0

    def close(self) -> None:
        """Waits for the inference under way and ends it."""
        self._thinker.close()

    def settle(self, frame: Frame) -> None:
        """Puts the frame's instances into it; called in order, before anything is painted.

        Raises:
            StreamError: inference failed.
        """
        with timed(frame.stages, "motion"):
            grey = small_grey(frame.picture)
        asked = self._ask(frame, grey)
        self._listen(self._waiting_time() if asked else 0.0, frame)
        key = self._key
        if key is not None and key.question.index == frame.index:
            self.inferred += 1
            frame.instances = key.instances
            return
        if self._every == 1:
            return  # the run is closing
        self.carried += 1
        with timed(frame.stages, "motion"):
            frame.instances = self._carrier.carry_to(grey)

    def adapt(self, *, keeps_up: bool) -> None:
        """Says whether the display kept up with the source lately; called about once a second."""
        expected = self._thinker.expected
        if expected is None or self._every is not None:
            return
        self._rest += expected * (-0.1 if keeps_up else 0.25)
        self._rest = max(0.0, min(self._rest, _LONGEST_REST * expected))

    def _ask(self, frame: Frame, grey: Grey) -> bool:
        if self._thinker.busy or self._thinker.idle_seconds < self._rest:
            return False
        last = self._asked_index
        if last is not None and frame.index - last < (self._every or 1):
            return False
        with timed(frame.stages, "preprocess"):
            prepared = self._segmenter.prepare(frame.picture)
        self._asked_index = frame.index
        return self._thinker.ask(Question(frame.index, frame.seconds, prepared, grey))

    def _waiting_time(self) -> float | None:
        if self._every == 1:
            return None
        expected = self._thinker.expected
        limit = _PATIENCE * self.interval
        return limit if expected is not None and expected < 0.9 * limit else 0.0

    def _listen(self, timeout: float | None, frame: Frame) -> None:
        """Takes the answers there are, and waits for that to this frame."""
        deadline = None if timeout is None else time.perf_counter() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.perf_counter())
            answer = self._thinker.answer(left)
            if answer is None:
                return
            self._key = answer
            self._carrier.set_key(answer.question.grey, answer.instances)
            frame.stages.update(answer.stages)
            if answer.question.index == frame.index:
                return
