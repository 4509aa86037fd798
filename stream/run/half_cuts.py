"""Live cuts of a half of the picture, behind which nothing is carried that was in it before."""

from __future__ import annotations

from collections import deque

from stream.instances import Instances
from stream.motion.flow import Grey
from stream.motion.propagator import Half, half_of_another_scene

_REMEMBERED = 8
"""Cuts that may be remembered; whatever is carried is of a moment ago."""


class HalfCuts:
    """Looks at frames in order, and says what of an earlier one's objects is still there."""

    def __init__(self) -> None:
        self._before: Grey | None = None
        self._cuts: deque[tuple[int, Half]] = deque(maxlen=_REMEMBERED)

    def see(self, index: int, grey: Grey) -> None:
        """Looks at the next frame.

        Args:
            index: the frame's.
            grey: the frame as `small_grey` makes it.
        """
        before, self._before = self._before, grey
        half = None if before is None else half_of_another_scene(before, grey)
        if half is not None:
            self._cuts.append((index, half))

    def left(self, key: int, instances: Instances | None) -> Instances | None:
        """What was carried to the frame that was seen last, without what a cut has taken away.

        Args:
            key: the index of the frame that it was found in.
            instances: what was carried; None for nothing known.
        """
        if instances is None:
            return None
        for index, half in self._cuts:
            if index > key:
                instances = instances.select(~half.of(instances))
        return instances
