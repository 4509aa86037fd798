"""Footage waits a little for what follows, so that a tracker can tell what is real."""

from concurrent.futures import Future
from fractions import Fraction

import av
import numpy as np
import pytest

from stream.errors import ModelError
from stream.frame import Frame, Passthrough
from stream.instances import Instances
from stream.run.figures import Figures
from stream.run.finder import Finder
from stream.run.look_ahead import LookAhead
from stream.run.schedule import Ahead, EachFrame
from stream.timing import END_TO_END, Clock
from stream.tracking.base import Tracker
from stream.tracking.trackers.motion import Motion
from tests.run.parts import Looker, index_of, picture, prepared_grey


class Listener(Tracker):
    """Writes down what it was told of each frame and of those that follow."""

    lookahead = 0.2

    def __init__(self):
        self.told = []

    def update(self, candidates, seconds, threshold, following=()):
        self.told.append((round(seconds, 3), [round(later, 3) for later, _ in following]))
        return candidates.with_tracks(np.arange(1, len(candidates) + 1))


class Deaf(Tracker):
    """Knows nothing of what follows, as trackers that others have written."""

    def __init__(self):
        self.told = []

    def update(self, candidates, seconds, threshold):
        self.told.append(round(seconds, 3))
        return candidates.with_tracks(np.arange(1, len(candidates) + 1))


def frame_of(index, rate):
    picture = av.VideoFrame.from_ndarray(np.full((72, 64), 7, np.uint8), format="yuv420p")
    return Frame(picture, index, index, Fraction(1, rate))


def run_through(schedule, count, rate):
    """What leaves the schedule: frames' indices, and packets."""
    figures = Figures(Clock(), END_TO_END)
    left = []

    def items():
        for index in range(count):
            job = figures.enter(frame_of(index, rate))
            schedule.enter(job)
            yield job
            yield Passthrough([])

    try:
        for item in schedule.settle(items()):
            left.append("packet" if isinstance(item, Passthrough) else item.frame.index)
    finally:
        schedule.close()
    return left


@pytest.mark.parametrize(("rate", "known"), [(10, 2), (25, 5), (30, 6), (60, 12), (3, 1)])
def test_a_tracker_is_told_of_what_follows_for_as_long_as_it_wants(rate, known):
    tracker = Listener()
    left = run_through(EachFrame(Finder(Looker(), tracker)), 20, rate)
    assert left == [one for index in range(20) for one in (index, "packet")]
    for index, (seconds, following) in enumerate(tracker.told):
        assert seconds == round(index / rate, 3)
        expected = range(index + 1, min(index + 1 + known, 20))
        assert following == [round(later / rate, 3) for later in expected]


def test_a_tracker_that_looks_not_ahead_has_each_frame_at_once():
    tracker = Deaf()
    schedule = EachFrame(Finder(Looker(), tracker))
    left = run_through(schedule, 5, 25)
    assert left == [one for index in range(5) for one in (index, "packet")]
    assert tracker.told == [0, 0.04, 0.08, 0.12, 0.16]


def test_with_an_interval_the_next_inferred_frames_are_told():
    tracker = Listener()
    left = run_through(LookAhead(Finder(Looker(), tracker), 2), 12, 25)
    assert left == [one for index in range(12) for one in (index, "packet")]
    # The last frame is looked at besides, whatever the interval.
    assert [seconds for seconds, _ in tracker.told] == [0, 0.08, 0.16, 0.24, 0.32, 0.4, 0.44]
    assert tracker.told[0][1] == [0.08, 0.16, 0.24]
    assert tracker.told[-1][1] == []


def test_frames_between_inferences_wait_for_the_next_one():
    tracker = Listener()
    run_through(LookAhead(Finder(Looker(), tracker), 10), 30, 25)
    assert tracker.told == [(0, [0.4]), (0.4, [0.8]), (0.8, []), (1.16, [])]


def test_no_more_frames_are_held_than_memory_allows(monkeypatch):
    monkeypatch.setattr("stream.run.schedule.MOST_HELD", 6 * 64 * 72)
    tracker = Listener()
    left = run_through(LookAhead(Finder(Looker(), tracker), 30), 70, 250)
    assert left == [one for index in range(70) for one in (index, "packet")]
    assert [following for _, following in tracker.told] == [[], [], [], []]


def test_where_inference_fails_the_frames_before_are_given_first():
    ahead = Ahead(Finder(Looker(), Listener()))
    figures = Figures(Clock(), END_TO_END)
    given = []
    with pytest.raises(ModelError, match="broken"):
        for index in range(4):
            future = Future()
            detector = Looker()
            if index == 3:
                future.set_exception(ModelError("broken"))
            else:
                prepared = detector.preprocess(frame_of(index, 25).image)
                future.set_result((prepared, detector.infer(prepared)))
            for job in ahead.put(figures.enter(frame_of(index, 25)), future):
                given.append(job.frame.index)
    assert given == [0, 1, 2]


def test_in_footage_a_new_object_is_shown_from_its_first_frame_on():
    class Appears(Looker):
        """Finds somebody from the fifth frame on, not quite certain."""

        seen = 0

        def preprocess(self, image):
            return prepared_grey(image)

        def infer(self, prepared):
            return None

        def postprocess(self, raw, prepared, threshold=None):
            found = Instances.empty(("person",), (48, 64))
            self.seen += 1
            if self.seen <= 5:
                return found
            return Instances(
                boxes=np.array([[10, 10, 30, 40]], np.float32),
                scores=np.array([0.7], np.float32),
                labels=np.zeros(1, np.int64),
                masks=np.ones((1, 28, 28), np.float32),
                class_names=("person",),
                picture_size=(48, 64),
            )

    schedule = EachFrame(Finder(Appears(), Motion()))
    figures = Figures(Clock(), END_TO_END)
    jobs = [figures.enter(frame_of(index, 25)) for index in range(20)]
    for job in jobs:
        schedule.enter(job)
    counts = [len(job.frame.instances) for job in schedule.settle(jobs)]
    schedule.close()
    # But for the end of the film, where nothing follows that could confirm it.
    assert counts == [0] * 5 + [1] * 15


def test_a_tracker_is_told_of_cuts_and_of_nothing_behind_them():
    class Films(Looker):
        """Sees another picture from the fourth frame on."""

        def preprocess(self, image):
            prepared = prepared_grey(image)
            ramp = np.linspace(0, 255, 64)
            prepared.tensor[...] = (ramp if index_of(image) < 4 else ramp[::-1])[
                None, None, :, None
            ]
            return prepared

    class Watches(Listener):
        lookahead = 0.08

        def update(self, candidates, seconds, threshold, following=()):
            scenes.append(candidates.scene)
            assert {one.scene for _, one in following} <= {candidates.scene}
            return super().update(candidates, seconds, threshold, following)

    scenes = []
    schedule = EachFrame(Finder(Films(), tracker := Watches()))
    figures = Figures(Clock(), END_TO_END)
    jobs = [
        figures.enter(Frame(picture(index), index, index, Fraction(1, 25))) for index in range(8)
    ]
    for job in jobs:
        schedule.enter(job)
    assert {job.frame.instances.scene for job in schedule.settle(jobs)} == {0}
    schedule.close()
    assert scenes == [0] * 4 + [1] * 4
    assert [len(following) for _, following in tracker.told] == [2, 2, 1, 0, 2, 2, 1, 0]
