"""What went through a run: every frame has one fate, and all counts follow from it."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from stream.frame import Frame, Passthrough
from stream.instances import Instances
from stream.pictures.pixels import bytes_of
from stream.run.known import Taken
from stream.timing import Clock

_KNOWN = 1000
"""Identities whose class may still change; of more those seen longest ago are added up."""


class Fate(IntEnum):
    """What becomes of a frame; of several outputs' answers the highest is the frame's."""

    DROPPED = 0
    """It came out nowhere: newer ones were there, or the run ended first."""

    SHOWN = 1
    """It was on a display."""

    WRITTEN = 2
    """It is in a file, or was sent."""


class Job:
    """A frame on its way through a run, and what becomes of it.

    The run holds it until it was handed to the outputs, then each output holds it; when the last
    lets go its fate is set, once.

    Attributes:
        frame: what the source gave.
        inferred: whether its instances are its own inference's; False where they were carried, or
            nobody asked for any.
    """

    __slots__ = ("_fate", "_figures", "_holders", "_out", "_size", "frame", "inferred")

    def __init__(self, frame: Frame, figures: Figures) -> None:
        self.frame = frame
        self.inferred = True
        self._size: int | None = None
        self._figures = figures
        self._fate = Fate.DROPPED
        self._holders = 1
        self._out = False

    @property
    def size(self) -> int:
        """Bytes of memory that its picture takes."""
        # Asked for again with each frame that comes while it waits.
        if self._size is None:
            self._size = bytes_of(self.frame.image)
        return self._size

    def hold(self, holders: int = 1) -> None:
        """So many more outputs have it."""
        with self._figures.lock:
            self._holders += holders

    def settle(self, fate: Fate) -> None:
        """One of its holders is done with it."""
        with self._figures.lock:
            self._holders -= 1
            self._fate = max(self._fate, fate)
            last = self._holders == 0
            # On the screen is when a frame is out, however long a file takes after that.
            if not self._out and (fate is Fate.SHOWN or (last and self._fate is not Fate.DROPPED)):
                self._out = True
                self._figures.out(self.frame)
            if last:
                self._figures.settled(self, self._fate)


Work = Job | Passthrough
"""What travels between the threads of a run."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many frames went where, so far.

    Attributes:
        frames_in: frames that the source delivered, its own drops included.
        written: frames that are in a file or were sent.
        shown: frames that were on a display and nowhere else.
        dropped: frames that came out nowhere.
        corrupt: pictures or packets that could not be decoded.
        inferred: frames that came out with their own inference.
        propagated: frames that came out with instances carried to them by motion.
        objects: objects in the frame that came out last.
        media_seconds: how far into the media that frame lies, from the first frame on.
        unsaved: frames that every output took and none has, as writing failed: dropped, though
            looked at and painted.
    """

    frames_in: int = 0
    written: int = 0
    shown: int = 0
    dropped: int = 0
    corrupt: int = 0
    inferred: int = 0
    propagated: int = 0
    objects: int = 0
    media_seconds: float = 0.0
    unsaved: int = 0

    @property
    def frames_out(self) -> int:
        """Frames that came out somewhere."""
        return self.written + self.shown


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one class over a run.

    Attributes:
        objects: identities where objects are tracked, none where each of them was something else in
            most frames; else the most in one frame.
        frames: frames with at least one.
    """

    objects: int
    frames: int


@dataclass(slots=True)
class Outcome:
    """How a run stands, and at the end how it ended.

    Attributes:
        counts: what became of the frames.
        seconds: since it began, up to its end.
        first_frame_seconds: from its beginning until the first frame was out.
        interrupted: whether it was stopped before its source ended.
        error: what ended it, or the first output that failed; None where all went well.
        queues: the bounded queues' figures.
        found: what was found, by class.
        found_frames: frames that came out with any object.
        signalled: the number of the signal by which it was stopped (Ctrl-C, SIGTERM); else None.
        paused_seconds: for how long the process was stopped meanwhile, as by Ctrl-Z.
    """

    counts: Counts
    seconds: float
    first_frame_seconds: float | None
    interrupted: bool
    error: BaseException | None = None
    queues: list[dict[str, str | int]] = field(default_factory=list)
    found: dict[str, Found] = field(default_factory=dict)
    found_frames: int = 0
    signalled: int | None = None
    paused_seconds: float = 0.0


class Figures:
    """Collects the fates of a run's frames; shared by its threads.

    Args:
        clock: where durations are booked.
        latency: the clock's stage for the time from a frame's birth until it is out.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self, clock: Clock, latency: str, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self._latency = latency
        self._now = now
        self._began = now()
        self._ended: float | None = None
        self._first_out: float | None = None
        self._first_seconds: float | None = None
        self._frames_in = 0
        self._fates: Counter[Fate] = Counter()
        self._inferred = 0
        self._propagated = 0
        self._objects = 0
        self._media_seconds = 0.0
        self._classes = _Classes()

    def begin(self) -> None:
        """The run begins now."""
        self._began = self._now()

    def end(self) -> None:
        """The run has ended; frames that were under way when it was aborted came out nowhere."""
        with self.lock:
            self._ended = self._ended or self._now()
            self._fates[Fate.DROPPED] += self._frames_in - self._fates.total()

    def enter(self, frame: Frame) -> Job:
        """A frame has come in."""
        with self.lock:
            self._frames_in += 1
        return Job(frame, self)

    @property
    def entered(self) -> int:
        """How many frames have come in."""
        return self._frames_in

    def out(self, frame: Frame) -> None:
        """A frame is out at the first output that counts; called once, with the lock held."""
        now = self._now()
        self.clock.add(self._latency, now - frame.captured_at)
        self.clock.frame_out()
        if self._first_out is None or self._first_seconds is None:
            self._first_out, self._first_seconds = now, frame.pts_seconds
        self._objects = 0 if frame.instances is None else len(frame.instances)
        self._media_seconds = frame.pts_seconds - self._first_seconds

    def settled(self, job: Job, fate: Fate) -> None:
        """A frame's fate is set; called once for each, with the lock held."""
        self._fates[fate] += 1
        if fate is Fate.DROPPED:
            return
        frame = job.frame
        for stage, seconds in frame.stages.items():
            self.clock.add(stage, seconds)
        if job.inferred:
            self._inferred += 1
        elif frame.instances is not None:
            self._propagated += 1
        if frame.instances is not None:
            self._classes.add(frame.instances)

    def counts(self, corrupt: int = 0, lost_before: int = 0) -> Counts:
        """The counts as they stand.

        Args:
            corrupt: what the source could not decode.
            lost_before: frames that the source itself let go of.
        """
        with self.lock:
            return Counts(
                frames_in=self._frames_in + lost_before,
                written=self._fates[Fate.WRITTEN],
                shown=self._fates[Fate.SHOWN],
                dropped=self._fates[Fate.DROPPED] + lost_before,
                corrupt=corrupt,
                inferred=self._inferred,
                propagated=self._propagated,
                objects=self._objects,
                media_seconds=self._media_seconds,
            )

    def outcome(
        self,
        counts: Counts,
        *,
        interrupted: bool,
        error: BaseException | None,
        queues: Sequence[dict[str, str | int]],
    ) -> Outcome:
        """How the run stands."""
        with self.lock:
            first = None if self._first_out is None else self._first_out - self._began
            ended = self._now() if self._ended is None else self._ended
            return Outcome(
                counts=counts,
                seconds=ended - self._began,
                first_frame_seconds=first,
                interrupted=interrupted,
                error=error,
                queues=list(queues),
                found=self._classes.found(),
                found_frames=self._classes.frames,
            )


class _Classes:
    """Counts what was found, in memory that does not grow with the run."""

    def __init__(self) -> None:
        self.frames = 0
        self._frames: Counter[str] = Counter()
        self._most: Counter[str] = Counter()
        self._known: OrderedDict[int, Taken] = OrderedDict()
        self._tracked: set[str] = set()
        self._gone: Counter[str] = Counter()

    def add(self, instances: Instances) -> None:
        if not len(instances):
            return
        self.frames += 1
        names = instances.names
        here = Counter(names)
        self._frames.update(here.keys())
        for name, number in here.items():
            self._most[name] = max(self._most[name], number)
        if instances.track_ids is None:
            return
        self._tracked.update(here)
        # Numbers come in any order, as in records that a hand has corrected.
        for name, identity in zip(names, instances.track_ids.tolist(), strict=True):
            self._known.setdefault(identity, Taken()).take_for(name)
            self._known.move_to_end(identity)
        while len(self._known) > _KNOWN:
            _, one = self._known.popitem(last=False)
            self._gone[one.name] += 1

    def found(self) -> dict[str, Found]:
        known = Counter(one.name for one in self._known.values()) + self._gone
        return {
            name: Found(known[name] if name in self._tracked else self._most[name], frames)
            for name, frames in self._frames.most_common()
        }
