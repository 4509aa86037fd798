"""Live frames that are held back until the model has looked at them, or at one that came later."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from stream.frame import Passthrough
from stream.instances import Instances
from stream.motion.flow import Grey
from stream.motion.propagate import in_size
from stream.motion.propagator import Propagator
from stream.run.figures import Fate, Job, Work
from stream.run.room import MOST_HELD
from stream.run.unsure import anybody, doubting
from stream.timing import timed

_STEADY = 75
"""Frames for which the delay has to be longer than needed before it becomes shorter: frames are
lost each time, and what inference takes on a busy machine is not the same every time."""

_MOST_PACKETS = 1000
"""Packets, of sound mostly, that wait behind a frame where no further one comes: some 20 s."""


@dataclass(slots=True)
class _Waiting:
    """A frame that is held, its small grey picture, and the packets that came after it."""

    job: Job
    grey: Grey
    after: list[Passthrough] = field(default_factory=list)

    @property
    def index(self) -> int:
        return self.job.frame.index


class _Key:
    """A frame that the model has looked at, and what it found there."""

    def __init__(self, job: Job, grey: Grey, found: Instances, own: Instances) -> None:
        self.job, self.index, self.own = job, job.frame.index, own
        self._found, self._doubts = Propagator(), Propagator()
        self._found.set_key(grey, found)
        # Where all of it is but a doubt, all of it is moved at once.
        doubts = () if found.unsure is None else (found.unsure,)
        self._doubts.set_key(grey, replace(found, unsure=None).joined(doubts))

    def at(self, one: _Waiting, *, fine: bool) -> Instances | None:
        """What was found, moved to another frame; None where that shows another scene."""
        self._found.fine = fine
        return in_size(self._found.propagate_to(one.grey), one.job.frame.image)

    def doubts_at(self, one: _Waiting, *, fine: bool) -> Instances | None:
        """The same with all that is unsure, none of it better known than the rest."""
        self._doubts.fine = fine
        return in_size(self._doubts.propagate_to(one.grey), one.job.frame.image)


class Held:
    """A line of frames, each of which leaves once the model has looked at it or at a later one.

    So whoever walks in is covered in the frames before the one in which the model saw him first. A
    frame has what the nearer of the two inferences around it saw, moved to it, and as unsure what
    the other one saw.

    Frames leave one at a time, as others come, so that a display stays as smooth as its source; it
    is late by what inference takes and by the time between two inferences.
    """

    def __init__(self) -> None:
        self._line: deque[_Waiting] = deque()
        self._bytes = 0
        self._keys: deque[_Key] = deque()
        self._spare: deque[int] = deque(maxlen=_STEADY)
        self.longest = 0.0
        """Seconds of the source by which a frame was late at most."""
        self.left_out = 0
        """Frames that there was no room for, or that were hurried and may be lost behind it."""

    def __len__(self) -> int:
        return len(self._line)

    @property
    def unknown(self) -> tuple[Job, Grey] | None:
        """The frame that came last, where the model has looked at none as late as that."""
        if not self._line or self._known() == len(self._line):
            return None
        return self._line[-1].job, self._line[-1].grey

    def put(self, job: Job, grey: Grey, *, asked: bool) -> None:
        """Takes the next frame; where too much is held already, it is left out.

        Args:
            job: the frame.
            grey: its small grey picture.
            asked: whether the model looks at it, so that others wait for it.
        """
        if not asked and self._bytes + job.size > MOST_HELD:
            self.left_out += 1
            job.settle(Fate.DROPPED)
            return
        self._bytes += job.size
        self._line.append(_Waiting(job, grey))

    def put_after(self, packets: Passthrough) -> Iterator[Work]:
        """Takes packets, which keep their place among the frames; gives what need not wait."""
        if not self._line:
            yield packets
            return
        waiting = self._line[-1].after
        waiting.append(packets)
        if len(waiting) > _MOST_PACKETS:
            yield from self.flush()

    def answered(
        self, job: Job, grey: Grey, found: Instances, own: Instances | None = None
    ) -> None:
        """Takes what the model found in a frame.

        Args:
            job: the frame.
            grey: its small grey picture.
            found: what stands for the frames around it.
            own: what the frame itself shows; None for the same.
        """
        self._keys.append(_Key(job, grey, found, found if own is None else own))

    def release(self, *, fine: bool = True) -> Iterator[Work]:
        """Gives the frame that may leave now, if there is one; more where the delay is too long.

        Args:
            fine: whether fast limbs are followed closely.
        """
        known = self._known()
        count = min(1, known)
        if self._line:
            self._spare.append(known - count)
        if len(self._spare) == _STEADY and min(self._spare):
            count += min(self._spare)
            self.left_out += min(self._spare)
            self._spare.clear()
        for _ in range(count):
            yield from self._leave(fine=fine)

    def flush(self, *, fine: bool = True) -> Iterator[Work]:
        """Gives all frames; those later than any that was looked at may show anybody anywhere."""
        while self._line:
            yield from self._leave(fine=fine)
        self._keys.clear()
        self._spare.clear()

    def _known(self) -> int:
        """How many frames may leave."""
        if not self._keys:
            return 0
        return sum(one.index <= self._keys[-1].index for one in self._line)

    def _leave(self, *, fine: bool) -> Iterator[Work]:
        last, first = self._line[-1], self._line.popleft()
        self._bytes -= first.job.size
        late = last.job.frame.pts_seconds - first.job.frame.pts_seconds
        self.longest = max(self.longest, late)
        while len(self._keys) > 1 and self._keys[1].index <= first.index:
            self._keys.popleft()
        self._settle(first, fine=fine)
        yield first.job
        yield from first.after

    def _settle(self, one: _Waiting, *, fine: bool) -> None:
        """Gives a frame its instances."""
        frame, keys = one.job.frame, list(self._keys)[:2]
        one.job.inferred = bool(keys) and keys[0].job is one.job
        if one.job.inferred:
            frame.instances = keys[0].own
            return
        found: Instances | None = None
        if keys and keys[-1].index > one.index:
            with timed(frame.stages, "motion"):
                for key in sorted(keys, key=lambda key: abs(key.index - one.index)):
                    if found is None:
                        found = key.at(one, fine=fine)
                    else:
                        found = doubting(found, key.doubts_at(one, fine=fine))
        if found is None:
            found = anybody((frame.image.height, frame.image.width))
        frame.instances = found
