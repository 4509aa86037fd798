"""Inference beside a display that never waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial

from stream.frame import Frame
from stream.inference.preprocess import Prepared
from stream.instances import Instances
from stream.motion.flow import Grey, small_grey
from stream.motion.propagate import in_size
from stream.motion.propagator import Propagator
from stream.run.companions import Companions
from stream.run.figures import Counts, Job, Work
from stream.run.finder import Finder
from stream.run.giving_way import GivingWay
from stream.run.half_cuts import HalfCuts
from stream.run.held import Held
from stream.run.intervals import Intervals
from stream.run.losses import Losses
from stream.run.schedule import Schedule
from stream.run.turns import Turns
from stream.run.unsure import BETWEEN, anybody, looked_at
from stream.system.at_work import at_work
from stream.system.workers import Workers
from stream.timing import timed
from stream.wording.words import counted

_PATIENCE = 0.75
"""Share of the time between two frames that a frame waits for its own inference. The rest is for
painting and showing it."""

_FEW, _TURN = 0.1, 1.0
"""Seconds between two pictures from which on a source has few: it asks so seldom that others of
more pictures would always be before it, so that each of its pictures waits for its turn; and for
how many seconds at most."""

_LONGEST_WAIT = 5.0
"""Seconds that a frame waits for its turn where each is to be inferred."""

_PAUSE = 0.04
"""Seconds between two frames at most that have been held when a source ends."""

_GRACE, _LOOKS = 1.0, 0.05
"""Seconds that an inference may still take once the run was told to stop, and between two looks
whether it was. One may take as long as a model is opened for a size, on a busy machine half a
minute."""

_WEIGHT = 0.2


@dataclass(slots=True)
class _Inference:
    """One inference: by whom, of which frame, what it took by stage, and what it found."""

    finder: Finder
    job: Job
    grey: Grey
    prepared: Prepared
    stages: dict[str, float] = field(default_factory=dict)
    future: Future[Instances] | None = None


class BesideDisplay(Schedule):
    """Live: every frame is shown at once, with its own instances or the last ones moved to it.

    Where the model is fast enough, a frame waits for its own inference. Else it goes on with the
    last answer, moved by the motion in between. The display goes first: where it cannot keep up
    with the source although it waits for nothing, masks are carried with a coarser motion, and then
    inference pauses between frames. Where nobody looks, nothing is inferred, and frames go on
    without instances.

    Where objects are covered, each frame waits besides until the model has looked at it or at a
    later one (`Held`): of who walks in nothing is known before.

    Args:
        finder: finds and follows the objects.
        interval: inference on every this many frames at most; 1 infers each frame that is shown,
            which then waits for it; None: as often as the display allows.
        turns: where several sources share the model, who may infer now.
        waits: whether frames wait for that where objects are covered.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        finder: Finder,
        interval: int | None = None,
        *,
        turns: Turns | None = None,
        waits: bool = True,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(finder)
        self._interval = interval
        self._share_doubts()
        self._counts: Callable[[], Counts] = Counts
        self._wanted: Callable[[], bool] = lambda: True
        self._stopped: Callable[[], bool] = lambda: False
        self._grace = _GRACE
        self._turn = (Turns(now=now) if turns is None else turns).join()
        self._pool = Workers(1, "stream-infer")
        self._propagator = Propagator()
        self._way = GivingWay(self._turn)
        self._under_way: _Inference | None = None
        self._asked_index: int | None = None
        self._may_hold, self._hides, self._held = waits, False, Held()
        self._key: Job | None = None
        self._found: Instances | None = None
        self.expected: float | None = None
        """Seconds an inference takes, as a running mean; None before the first."""
        self.inferences = 0
        """How many frames the model has looked at, whatever they were shown with."""
        self._companions = Companions()
        self._intervals, self._back = Intervals(), 0
        self._half_cuts = HalfCuts()
        self._losses = Losses(now)

    @property
    def ahead(self) -> int:
        """Only the newest frame counts."""
        return 1

    @property
    def frame_interval(self) -> float:
        """Seconds between two frames of the source, as a running mean."""
        return self._intervals.seconds

    @property
    def rest(self) -> float:
        """Seconds that inference pauses after each frame; sources that share it share them."""
        return self._turn.rest

    @rest.setter
    def rest(self, seconds: float) -> None:
        self._turn.rest = seconds

    def watch(
        self,
        counts: Callable[[], Counts],
        wanted: Callable[[], bool] = lambda: True,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """By the counts it sees whether the display keeps up."""
        self._counts, self._wanted, self._stopped = counts, wanted, stopped

    def cover(self, *, wanted: bool, hides: bool = False) -> None:
        """Where layers cover objects, frames are held back until it is known who is in them."""
        super().cover(wanted=wanted)
        self._hides = hides

    @property
    def _holds(self) -> bool:
        return self._hides and self._may_hold

    def use(self, finder: Finder) -> None:
        """Another model or tracker finds the objects from the next inference on."""
        finder.covers = self._finder.covers
        self._finder = finder
        self._share_doubts()

    def _share_doubts(self) -> None:
        """Where a frame's inference is for other frames too, more of what is doubted counts."""
        if self._interval != 1:
            self._finder.doubt = BETWEEN

    def enter(self, job: Job) -> None:
        """Learns how fast frames come, and whether they come again after an outage."""
        if self._intervals.came(job.frame.pts_seconds):
            self._back = job.frame.index

    def settle(self, items: Iterable[Work]) -> Iterator[Work]:
        """Gives each frame the instances that there are for it now."""
        for item in items:
            if isinstance(item, Job):
                yield from self._settled(item)
            else:
                yield from self._held.put_after(item)
        yield from self._last()

    @property
    def remarks(self) -> Sequence[str]:
        """How many frames were inferred, and how many came out with that very inference."""
        counts = self._counts()
        if not counts.inferred and not counts.propagated:
            return ()  # nobody looked
        told = [
            f"{counted(self.inferences, 'frame')} inferred; {counts.inferred} shown with their own "
            f"inference, {counts.propagated} with masks carried by motion"
        ]
        told += [*self._finder.remarks, *self._companions.remarks(self._finder.detector)]
        if self._held.longest:
            told.append(
                f"what is covered was shown up to {self._held.longest:.2f} s late, once it was "
                "known who is in it; --no-cover-wait shows it at once, and bare whoever walks in"
            )
        return told

    def _settled(self, job: Job) -> Iterator[Work]:
        """Takes a frame; gives those that are ready now."""
        frame = job.frame
        if not self._wanted():
            self._listen(0.0, frame)
            job.inferred = False
            self._propagator = Propagator()
            self._propagator.fine = self._way.fine
            self._cover_unknown(frame)  # Somebody may look at it at this very moment.
            yield from self._held.flush()
            yield job
            return
        with timed(frame.stages, "motion"):
            grey = small_grey(frame.image)
            self._half_cuts.see(frame.index, grey)
        asked = self._ask(job, grey)
        self._listen(self._waiting_time() if asked else 0.0, frame)
        self._adapt()
        if self._holds:
            self._held.put(job, grey, asked=asked)
            yield from self._held.release(fine=self._propagator.fine)
            return
        yield from self._held.flush()
        job.inferred = self._key is job
        if job.inferred:
            frame.instances = self._found
            if self._found is not None:
                frame.instances = looked_at(self._found, self._finder.detector.threshold)
        else:
            with timed(frame.stages, "motion"):
                # Where objects are covered, a wrong place is better than none.
                fitting = not self._finder.covers
                found = self._key.frame.index if self._key is not None else -1
                # Of what was there before an outage nobody knows where it is now.
                if found >= self._back:
                    carried = self._propagator.propagate_to(grey, fitting=fitting)
                    frame.instances = in_size(carried, frame.image)
            if not self._finder.covers:
                frame.instances = self._half_cuts.left(found, frame.instances)
        # Before the first answer, and after a cut or an outage until the next one.
        self._cover_unknown(frame)
        yield job

    def _cover_unknown(self, frame: Frame) -> None:
        """Where objects are covered, an unknown frame may show anybody anywhere."""
        if frame.instances is None and self._finder.covers:
            frame.instances = anybody((frame.image.height, frame.image.width))

    def _last(self) -> Iterator[Work]:
        """Gives the frames that are held: nothing follows that they might wait for."""
        unknown = self._held.unknown
        if unknown is not None:
            job, grey = unknown
            self._listen(None, job.frame)
            if self._under_way is None and self._held.unknown and self._take(self._longest):
                self._begin(job, grey)
                self._listen(None, job.frame)
        for item in self._held.flush(fine=self._propagator.fine):
            yield item
            # What is behind takes one at a time; an end is no reason to lose any.
            time.sleep(min(self.frame_interval, _PAUSE))

    def _ask(self, job: Job, grey: Grey) -> bool:
        """Begins with a frame's inference where it is this frame's turn."""
        if self._under_way is not None:
            self._listen(0.0, job.frame)
        if self._under_way is not None:
            return False
        last = self._asked_index
        if last is not None and job.frame.index - last < (self._interval or 1):
            return False
        if not self._take(self._patience()):
            return False
        self._begin(job, grey)
        return True

    def _take(self, patience: float) -> bool:
        return self._turn.take(patience, self._companions.at_once(self._finder.detector))

    def _begin(self, job: Job, grey: Grey) -> None:
        """Begins with a frame's inference; its turn has been taken."""
        frame, finder = job.frame, self._finder
        try:
            with timed(frame.stages, "preprocess"):
                prepared = finder.detector.preprocess(frame.seen())
            inference = _Inference(finder, job, grey, prepared)
            inference.future = self._pool.submit(partial(self._infer, inference))
        except BaseException:
            self._turn.give_back(0.0)
            raise
        self._asked_index = frame.index
        self._under_way = inference

    def _infer(self, inference: _Inference) -> Instances:
        finder = inference.finder
        seconds = 0.0
        try:
            with timed(inference.stages, "infer"), at_work():
                raw, seconds = self._companions.infer(finder.detector, inference.prepared)
        finally:
            self._turn.give_back(seconds, str(getattr(finder.detector, "name", "")))
        with timed(inference.stages, "postprocess"):
            candidates = finder.candidates(raw, inference.prepared)
            return finder.follow(candidates, inference.job.frame.pts_seconds)

    @property
    def _longest(self) -> float:
        """Seconds that a frame waits for its turn at most."""
        return self._grace if self._stopped() else _LONGEST_WAIT

    def _patience(self) -> float:
        """How long a frame waits for its turn: as long as it can still wait for its answer then."""
        if self._interval == 1:
            return self._longest
        if self.frame_interval >= _FEW:
            return min(_TURN, _PATIENCE * self.frame_interval)
        spare = (self._waiting_time() or 0.0) - (self.expected or 0.0)
        return max(0.0, spare)

    def _waiting_time(self) -> float | None:
        if self._interval == 1:
            return None
        limit = _PATIENCE * self.frame_interval
        if not self._way.waits:
            return 0.0
        return limit if self.expected is not None and self.expected < 0.9 * limit else 0.0

    def _listen(self, timeout: float | None, frame: Frame) -> None:
        """Takes the answer if it comes in time, and books its seconds to the frame at hand."""
        inference = self._under_way
        if inference is None or inference.future is None:
            return
        if timeout is None:
            self._await(inference.future)
        elif timeout:
            wait([inference.future], timeout)
        if not inference.future.done():
            return
        self._under_way = None
        found = inference.future.result()
        self.inferences += 1
        seconds = sum(inference.stages.values())
        before = seconds if self.expected is None else self.expected
        self.expected = before + _WEIGHT * (seconds - before)
        frame.stages.update(inference.stages)
        if inference.finder is not self._finder:
            return  # of a model that is no longer asked for
        self._key, self._found = inference.job, found
        self._propagator.set_key(inference.grey, found)
        if self._holds:
            own = looked_at(found, inference.finder.detector.threshold)
            self._held.answered(inference.job, inference.grey, found, own)

    def _await(self, future: Future[Instances]) -> None:
        """Waits for an answer, once the run was told to stop for a moment only."""
        while not future.done() and self._grace > 0:
            wait([future], _LOOKS)
            if self._stopped():
                self._grace -= _LOOKS

    def _adapt(self) -> None:
        """Once a second: lets inference pause where the display does not keep up."""
        if not self._losses.due:
            return
        if not self._turn.calm:
            self._losses.forgive(self._counts(), self._held.left_out)
            return
        alone = self._turn.sources == 1
        keeps_up = self._losses.keeps_up(self._counts(), self._held.left_out, alone=alone)
        if keeps_up is not None:
            self.adapt(keeps_up=keeps_up)

    def adapt(self, *, keeps_up: bool) -> None:
        """Does with less, and lengthens the pause between two inferences; or back."""
        inference = self.expected if self._interval is None else None
        cores = self._finder.detector.spares_cores
        self._way.adapt(keeps_up=keeps_up, inference=inference, spares_cores=cores)
        self._propagator.fine = self._way.fine

    def close(self) -> None:
        """Waits for the inference under way, which cannot be ended from outside.

        Where the run was told to stop it is soon left alone, and ends by itself.
        """
        self._pool.close(wait=False)
        if self._under_way is not None and self._under_way.future is not None:
            self._await(self._under_way.future)
        if self._grace > 0:
            self._pool.close()
        # One that was cancelled before it began has not given its turn back.
        self._turn.leave()
