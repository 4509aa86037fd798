"""Inference beside the display: one picture at a time, in a thread of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stream.instances import Instances
from stream.motion.flow import Grey
from stream.timing import timed

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter
    from stream.tracking.base import Tracker

_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Question:
    """A picture to look at.

    Attributes:
        index: the frame's.
        seconds: its presentation time.
        prepared: the model's input, made before anything was painted into the picture.
        grey: the picture as `small_grey` makes it.
    """

    index: int
    seconds: float
    prepared: Any
    grey: Grey


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, with the seconds that it took, by stage."""

    question: Question
    instances: Instances
    stages: dict[str, float] = field(default_factory=dict)


class Thinker:
    """Takes a question when it is idle and has the answer some time later.

    Args:
        segmenter: finds the objects.
        tracker: says which object is which; None takes each picture for itself.
    """

    def __init__(self, segmenter: Segmenter, tracker: Tracker | None = None) -> None:
        self._segmenter = segmenter
        self._tracker = tracker
        self._changed = threading.Condition()
        self._question: Question | None = None
        self._answer: Answer | None = None
        self._closed = False
        self._idle_since = time.perf_counter()
        self.error: BaseException | None = None
        self.expected: float | None = None
        """Seconds an answer takes, as a running mean; None before the first."""
        self._thread = threading.Thread(target=self._run, name="stream-infer", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a question is being worked on."""
        return self._question is not None

    @property
    def idle_seconds(self) -> float:
        """How long it has been idle; 0 while busy."""
        return 0.0 if self.busy else time.perf_counter() - self._idle_since

    def ask(self, question: Question) -> bool:
        """Hands over a question; returns False where it is busy or closed."""
        with self._changed:
            if self._question is not None or self._closed or self.error is not None:
                return False
            self._question = question
            self._changed.notify_all()
            return True

    def answer(self, timeout: float | None = 0.0) -> Answer | None:
        """The newest answer, each once; waits for it up to `timeout` seconds (None: for ever).

        Raises:
            BaseException: what the segmenter raised.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._answer is not None or self.error is not None or self._closed, timeout
            )
            if self.error is not None:
                raise self.error
            answer, self._answer = self._answer, None
            return answer

    def close(self) -> None:
        """Ends the thread once the question under way is answered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._question is not None or self._closed)
                question = self._question
                if self._closed or question is None:
                    return
            try:
                answer = self._think(question)
            except BaseException as error:  # noqa: BLE001 - raised to who waits for the answer
                with self._changed:
                    self.error, self._question = error, None
                    self._changed.notify_all()
                return
            seconds = sum(answer.stages.values())
            with self._changed:
                before = seconds if self.expected is None else self.expected
                self.expected = before + _WEIGHT * (seconds - before)
                self._answer, self._question = answer, None
                self._idle_since = time.perf_counter()
                self._changed.notify_all()

    def _think(self, question: Question) -> Answer:
        stages: dict[str, float] = {}
        with timed(stages, "infer"):
            raw = self._segmenter.infer(question.prepared)
        with timed(stages, "postprocess"):
            if self._tracker is None:
                instances = self._segmenter.finish(raw, question.prepared)
            else:
                threshold = self._segmenter.threshold
                least = self._tracker.floor * threshold
                candidates = self._segmenter.finish(raw, question.prepared, least)
                instances = self._tracker.update(candidates, question.seconds, threshold)
        return Answer(question, instances, stages)
