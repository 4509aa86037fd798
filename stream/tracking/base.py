"""What every tracker is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from stream.instances import Instances


class Tracker(ABC):
    """Says which of a frame's candidates are shown, and which object of earlier frames each is.

    A tracker sees instances and time, never the model. It is called for the inferred frames of
    one run, in order, from one thread. What it remembers it remembers in seconds of media, so that
    it does the same at any frame rate and however often inference runs.
    """

    floor: ClassVar[float] = 1.0
    """Down to which share of the threshold it wants to see candidates, 0..1."""

    @abstractmethod
    def update(self, candidates: Instances, seconds: float, threshold: float) -> Instances:
        """Those of `candidates` that are shown, each with an identity in `track_ids`.

        Args:
            candidates: what was found, down to `floor` times the threshold, best first.
            seconds: the frame's presentation time; may jump where the source does.
            threshold: what new objects must reach, 0..1; it may change on the way.
        """
