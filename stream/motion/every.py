"""Inference on some frames of footage, motion on the others: `stream file --every`."""

from __future__ import annotations

import dataclasses
import math
import threading
from fractions import Fraction

from stream.frame import Frame
from stream.instances import Instances
from stream.motion.carrier import Carrier, is_cut
from stream.motion.flow import Grey, small_grey
from stream.pipeline import Job, Stage
from stream.timing import timed

LARGEST = 12
"""Frames from one inference to the next at most, where the number is chosen by measurement."""

_WEIGHT = 0.25


class Every:
    """Decides on which frames inference runs, and carries instances to the others.

    A frame that begins a new scene is always inferred.

    Args:
        number: inference on every this many frames, at least 1; None chooses the smallest number
            with which the run keeps up with `rate`, up to `LARGEST`.
        rate: the footage's frames per second, where known; 30 where not.
        lanes: how many frames are inferred at once.
    """

    def __init__(self, number: int | None, rate: Fraction | None = None, lanes: int = 1) -> None:
        if number is not None and number < 1:
            raise ValueError(f"inference must run on every 1st frame or fewer, not {number}")
        self._number = number
        self._rate = float(rate or 30) / lanes
        self._lock = threading.Lock()
        self._inference_seconds: float | None = None
        self._since_key: int | None = None
        self._before: Grey | None = None
        self._keys: dict[int, bool] = {}
        self._greys: dict[int, Grey] = {}
        self._carrier = Carrier()
        self._waiting: list[tuple[Job, Grey]] = []
        self.inferred = 0
        self.carried = 0

    @property
    def number(self) -> int:
        """Inference runs on every this many frames, as things stand."""
        if self._number is not None:
            return self._number
        with self._lock:
            seconds = self._inference_seconds
        return 1 if seconds is None else max(1, min(LARGEST, math.ceil(seconds * self._rate)))

    @property
    def remarks(self) -> list[str]:
        """What became of the frames, a sentence."""
        if not self.carried:
            return []
        return [
            f"inference ran on {self.inferred} frames; to the other {self.carried} masks were "
            "carried by motion"
        ]

    def plan(self, frame: Frame) -> None:
        """Decides about a frame; called once for each, in order."""
        grey = small_grey(frame.picture)
        with self._lock:
            self._greys[frame.index] = grey
        number = self.number
        is_key = (
            self._since_key is None
            or self._since_key + 1 >= number
            or (self._before is not None and is_cut(self._before, grey))
        )
        self._since_key = 0 if is_key or self._since_key is None else self._since_key + 1
        self._before = grey
        with self._lock:
            self._keys[frame.index] = is_key

    def is_key(self, frame: Frame) -> bool:
        """Whether inference runs on a frame that was planned."""
        with self._lock:
            return self._keys[frame.index]

    def settle(self, job: Job | None) -> list[Job]:
        """Takes a frame, inferred or to be carried to; called in order, with None after the last.

        A carried frame waits for the next inferred one, so that the nearer of the two gives it its
        instances: footage is in no hurry, and half the way means half the error.

        Returns:
            The frames that have their instances now, in order.
        """
        if job is None:
            return self._finish(None, None)
        frame = job.frame
        with self._lock:
            grey = self._greys.pop(frame.index)
            is_key = self._keys.pop(frame.index)
        if not is_key:
            self._waiting.append((job, grey))
            return []
        self.inferred += 1
        self._measure(frame)
        found = frame.instances
        if found is None:
            return [*self._finish(None, None), job]
        settled = self._finish(grey, found)
        self._carrier.set_key(grey, found)
        return [*settled, job]

    def _finish(self, grey: Grey | None, found: Instances | None) -> list[Job]:
        """Gives the waiting frames their instances, from the key before or the one after them."""
        after = Carrier()
        if grey is not None and found is not None:
            after.set_key(grey, found)
        count = len(self._waiting)
        # From the later key backwards, so that each measurement is the next one's first guess.
        for place in range(count - 1, -1, -1):
            job, own = self._waiting[place]
            if count - place < place + 1 and after.ready:
                with timed(job.frame.stages, "motion"):
                    job.frame.instances = after.carry_to(own)
        for job, own in self._waiting:
            if job.frame.instances is None:
                with timed(job.frame.stages, "motion"):
                    job.frame.instances = self._carrier.carry_to(own)
        settled = [job for job, _ in self._waiting]
        self.carried += len(settled)
        self._waiting.clear()
        return settled

    def _measure(self, frame: Frame) -> None:
        seconds = sum(
            frame.stages.get(stage, 0.0) for stage in ("preprocess", "infer", "postprocess")
        )
        with self._lock:
            before = self._inference_seconds
            self._inference_seconds = (
                seconds if before is None else before + _WEIGHT * (seconds - before)
            )

    def thin(self, stages: list[Stage]) -> list[Stage]:
        """The stages preprocess, infer and postprocess, at work on key frames only.

        Args:
            stages: of a run that infers on each frame, in order.

        Returns:
            The same with a stage before them that decides, and a stage `motion` after them.
        """
        inference = ("preprocess", "infer", "postprocess")

        def key(job: Job) -> bool:
            return self.is_key(job.frame)

        thinned: list[Stage] = []
        for stage in stages:
            if stage.name == inference[0]:
                thinned.append(Stage("plan", lambda job: self.plan(job.frame)))
            if stage.name in inference:
                thinned.append(dataclasses.replace(stage, applies=key))
            else:
                thinned.append(stage)
            if stage.name == inference[-1]:
                thinned.append(Stage("motion", lambda job: None, release=self.settle))
        return thinned
