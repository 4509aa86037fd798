"""The times of all frames of a film, kept for what is written of it later."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from fractions import Fraction

from stream.frame import Frame


class Times:
    """The times of frames, a few bytes for each change of their distance."""

    def __init__(self) -> None:
        # Of each run: first time, distance, duration (-1: not known), how many, the clock's tick.
        self._runs = array("q")
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, frame: Frame) -> None:
        """Notes a frame's time."""
        self._count += 1
        duration = -1 if frame.duration is None else frame.duration
        clock = (frame.time_base.numerator, frame.time_base.denominator)
        runs = self._runs
        if runs and runs[-4] == duration and (runs[-2], runs[-1]) == clock:
            first, distance, count = runs[-6], runs[-5], runs[-3]
            if count == 1:
                runs[-5], runs[-3] = frame.pts - first, 2
                return
            if frame.pts == first + distance * count:
                runs[-3] = count + 1
                return
        runs.extend((frame.pts, 0, duration, 1, *clock))

    def __iter__(self) -> Iterator[tuple[int, int | None, Fraction]]:
        """Of each frame its time and its duration, None where unknown, in ticks; and the tick."""
        runs = self._runs
        for at in range(0, len(runs), 6):
            first, distance, duration, count, above, below = runs[at : at + 6]
            for place in range(count):
                known = None if duration < 0 else duration
                yield first + place * distance, known, Fraction(above, below)
