"""What every tracker is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from stream.instances import Instances

JUMP = 10.0
"""Seconds between two inferences from which on time has jumped."""


class Tracker(ABC):
    """Says which of a frame's candidates are shown, and which object of earlier frames each is.

    A tracker sees instances and time, never the model. It is called for the inferred frames of
    one run, in order, from one thread. What it remembers it remembers in seconds of media, so that
    it does the same at any frame rate and however often inference runs: nothing is forgotten before
    there was one inference to see it again.

    Where time goes back, or on by `JUMP` seconds or more, nobody knows what happened in between:
    what is there then is new. So it is after a cut, which candidates tell by their `scene`, unless
    it is plain that nothing but the light has changed. An identity is never given twice in a run.
    """

    floor: ClassVar[float] = 1.0
    """Down to which share of the threshold it wants to see candidates, 0..1."""

    lookahead: ClassVar[float] = 0.0
    """How many seconds of what follows it wants to see, where a run can wait for them."""

    colours: ClassVar[bool] = False
    """Whether it wants to know the candidates' `colours`; where nobody can tell, they have none."""

    @abstractmethod
    def update(
        self,
        candidates: Instances,
        seconds: float,
        threshold: float,
        following: Sequence[tuple[float, Instances]] = (),
    ) -> Instances:
        """Those of `candidates` that are shown, each with an identity in `track_ids`.

        They come in the order of the candidates, with their boxes and masks; a tracker may give
        them another label. Identities are numbers from 1 on.

        Args:
            candidates: what was found, down to `floor` times the threshold, best first.
            seconds: the frame's presentation time; may jump where the source does.
            threshold: what new objects must reach, 0..1; it may change on the way.
            following: what was found in the next frames, with their times; given for footage and
                only to a tracker that has a `lookahead`, and not longer than that. Empty live.
        """


class Elapsed:
    """The time from one inference to the next."""

    def __init__(self) -> None:
        self._last: float | None = None

    def __call__(self, seconds: float) -> float | None:
        """Seconds since the call before; None where there was none, or time has jumped since."""
        last, self._last = self._last, seconds
        if last is None or not 0 <= seconds - last < JUMP:
            return None
        return seconds - last
