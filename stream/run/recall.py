"""Schedules that take what an earlier step of the same work has found, in place of inferring it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from stream.frame import Frame
from stream.run.figures import Job, Work
from stream.run.finder import Finder
from stream.run.kept import Kept, KeptLostError, mark_of
from stream.run.schedule import EachFrame, Schedule
from stream.timing import timed

_AHEAD = 3


Recall = Callable[[Frame], Kept | None]
"""What is known of a frame; called for each frame in order."""


class Remembered:
    """What was kept of frames, which are asked for in order and told by their pictures.

    Args:
        entries: what was kept, in order.
    """

    def __init__(self, entries: Iterator[Kept]) -> None:
        self._entries = entries
        self._next: Kept | None = None

    def __call__(self, frame: Frame) -> Kept | None:
        """What was found in a frame; None where another picture was there, or none.

        Raises:
            KeptLostError: a file is not there, or not whole.
        """
        while self._next is None or self._next.pts < frame.pts:
            self._next = next(self._entries, None)
            if self._next is None:
                return None
        entry = self._next
        same = entry.pts == frame.pts and entry.mark == mark_of(frame.image)
        return entry if same else None


class Recalling(EachFrame):
    """As `EachFrame`, but inference only of frames whose candidates are not remembered.

    Args:
        finder: finds and follows the objects.
        remembered: candidates of frames, down to any floor.
    """

    def __init__(self, finder: Finder, remembered: Recall) -> None:
        super().__init__(finder)
        self._remembered = remembered
        self._known: dict[int, Kept] = {}
        self._known_lock = threading.Lock()
        self.missed = 0

    def enter(self, job: Job) -> None:
        """Looks what is known of it; begins inference where nothing is."""
        with timed(job.frame.stages, "read"):
            found = self._remembered(job.frame)
        if found is None:
            self.missed += 1
            super().enter(job)
            return
        with self._known_lock:
            self._known[id(job)] = found

    def settle(self, items: Iterable[Work]) -> Iterator[Work]:
        """Follows the objects, as `EachFrame` does."""
        for item in items:
            known = None
            if isinstance(item, Job):
                with self._known_lock:
                    known = self._known.pop(id(item), None)
            if isinstance(item, Job) and known is not None:
                found = self._finder.among(known.instances, known.small)
                yield from self._held.put_candidates(item, found)
            else:
                yield from self._settled(item)
        yield from self._held.flush()


class Painting(Schedule):
    """Gives each frame its instances, which were followed already.

    Args:
        finder: of the schedule; it finds nothing.
        remembered: instances of each frame.
    """

    def __init__(self, finder: Finder, remembered: Recall) -> None:
        super().__init__(finder)
        self._remembered = remembered

    @property
    def ahead(self) -> int:
        """Reading is quick."""
        return _AHEAD

    def settle(self, items: Iterable[Work]) -> Iterator[Work]:
        """Gives each frame what was found in it.

        Raises:
            KeptLostError: there is a frame of which nothing is known.
        """
        for item in items:
            if isinstance(item, Job):
                frame = item.frame
                with timed(frame.stages, "read"):
                    found = self._remembered(frame)
                if found is None:
                    raise KeptLostError(
                        f"the picture at {frame.pts_seconds:.3f} s is another than it was before"
                    )
                frame.instances = found.instances
            yield item
