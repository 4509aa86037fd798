"""Live frames that wait until it is known who is in them."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.frame import Passthrough
from stream.motion.flow import small_grey
from stream.pictures.pixels import plane_view
from stream.run import held as room
from stream.run.figures import Counts, Figures
from stream.run.held import Held
from stream.timing import CAPTURE_TO_DISPLAY, Clock
from tests.run.test_beside_display import Stage
from tests.scenes import BACKGROUND, HEIGHT, WIDTH, frame_of, instances_of, scene, texture

ENTERS = 10


class Line:
    """Frames that are handed to a `Held` one by one."""

    def __init__(self):
        self.held, self.figures = Held(), Figures(Clock(), CAPTURE_TO_DISPLAY)
        self.jobs = []

    def come(self, luma=BACKGROUND, *, asked=False):
        """The next frame; returns the numbers of those that leave."""
        job = self.figures.enter(frame_of(luma, len(self.jobs)))
        self.jobs.append(job)
        self.held.put(job, small_grey(job.frame.image), asked=asked)
        return [one.frame.index for one in self.held.release()]

    def answer(self, index, found):
        frame = self.jobs[index].frame
        self.held.answered(self.jobs[index], small_grey(frame.image), found)


def test_what_is_found_before_and_behind_is_of_the_picture_s_own_size():
    line, (luma, truth) = Line(), scene(60, 60)
    larger = np.kron(luma, np.ones((2, 2), np.uint8))
    found = instances_of(truth)
    line.come(luma, asked=True)
    line.answer(0, replace(found, unsure=found))
    line.come(larger)
    line.come(larger)
    line.come(luma, asked=True)
    line.answer(3, replace(found, unsure=found))
    assert list(line.held.flush())
    for job in line.jobs[1:3]:
        frame = job.frame
        for one in (frame.instances, frame.instances.unsure):
            assert one.picture_size == (frame.image.height, frame.image.width)
            assert np.allclose(one.boxes, 2 * found.boxes, atol=4)


def nobody():
    return instances_of(scene(60, 60)[1]).select([])


@pytest.mark.parametrize("takes", [1, 2, 4, 7])
def test_frames_leave_one_by_one_and_as_late_as_inference_makes_them(takes):
    line, left, gaps = Line(), [], []
    for index in range(60):
        if index and index % takes == 0:
            line.answer(index - takes, nobody())
        leaving = line.come(asked=index % takes == 0)
        left += leaving
        if index >= 3 * takes:
            gaps.append(len(leaving))
    assert left == list(range(len(left))), "in order, each once"
    assert set(gaps) == {1}, "a display is as smooth as its source"
    assert len(line.held) == 2 * takes - 1, "what inference takes, and the time between two"


def test_a_delay_that_is_longer_than_it_has_to_be_becomes_shorter():
    line, left = Line(), []
    for index in range(20):  # An inference that takes a while,
        left += line.come(asked=index == 0)
    assert left == []
    for index in range(20, 20 + 2 * room._STEADY):  # and quick ones after it.
        line.answer(index - 1, nobody())
        left += line.come(asked=True)
    assert left == list(range(len(left)))
    assert len(line.held) == 1
    assert line.held.longest == pytest.approx(19 / 30, abs=0.05)


def test_a_delay_becomes_shorter_by_what_was_never_needed_and_those_frames_count(monkeypatch):
    monkeypatch.setattr(room, "_STEADY", 4)
    line = Line()
    for index in range(10):
        line.come(asked=index == 0)
    left = []
    # Two, four, three and four could have left besides the one that does.
    for known in (2, 5, 5, 7):
        line.answer(known, nobody())
        left.append([one.frame.index for one in line.held.release()])
    assert left == [[0], [1], [2], [3, 4, 5]]
    assert line.held.left_out == 2
    assert [one.frame.index for one in line.held.release()] == [6], "and it is counted anew"


def test_the_frame_that_came_last_is_unknown_until_the_model_has_looked_at_it():
    line = Line()
    assert line.held.unknown is None
    line.come(asked=True)
    line.come()
    assert line.held.unknown[0] is line.jobs[1]
    line.answer(0, nobody())
    assert line.held.unknown[0] is line.jobs[1]
    line.answer(1, nobody())
    assert line.held.unknown is None


def test_a_frame_has_what_the_model_found_in_it_and_others_what_stands_for_them():
    luma, objects = scene(60, 60)
    found = instances_of(objects)
    line = Line()
    for index in range(2):
        line.come(luma, asked=index == 0)
    frame = line.jobs[0].frame
    own = found.select([])
    line.held.answered(line.jobs[0], small_grey(frame.image), found, own)
    assert list(line.held.release()) == [line.jobs[0]]
    assert frame.instances is own and line.jobs[0].inferred
    line.answer(1, found)
    assert list(line.held.release()) == [line.jobs[1]]
    assert line.jobs[1].frame.instances is found


def test_too_many_frames_are_left_out_but_not_the_one_that_is_waited_for(monkeypatch):
    line = Line()
    monkeypatch.setattr(room, "MOST_HELD", 5 * WIDTH * HEIGHT * 3 // 2)
    for index in range(20):
        line.come(asked=index in (0, 12))
    assert len(line.held) == 6
    assert line.held.left_out == line.figures.counts(0).dropped == 14
    line.answer(12, nobody())
    left = [job.frame.index for job in line.held.flush()]
    assert left == [0, 1, 2, 3, 4, 12]
    line.come()
    assert len(line.held) == 1, "and there is room again"


def test_packets_keep_their_place_and_do_not_wait_for_ever():
    line = Line()
    packet = Passthrough([av.Packet(b"sound")])
    assert list(line.held.put_after(packet)) == [packet], "before any frame"
    line.come(asked=True)
    assert list(line.held.put_after(packet)) == []
    line.come()
    line.answer(0, nobody())
    assert list(line.held.release()) == [line.jobs[0], packet]
    left = []
    for _ in range(room._MOST_PACKETS + 1):
        left += line.held.put_after(packet)
    assert left == [line.jobs[1], *[packet] * (room._MOST_PACKETS + 1)]
    assert len(line.jobs[1].frame.instances.unsure) == 1, "nobody has looked at it"


class Entrance(Stage):
    """Somebody who is there from one frame to the next, before a background that stays."""

    def __init__(self, **options):
        super().__init__(**options)
        self.truth = self.scenes[:]
        self.scenes[:ENTERS] = [(BACKGROUND, self.truth[0][1])] * ENTERS
        self.schedule.cover(wanted=True, hides=True)
        self._painter = Painter("hide", Style(cover_memory=0))
        found = self.detector.postprocess
        self.detector.postprocess = lambda raw, prepared, threshold=None: (
            nobody() if raw < ENTERS else found(raw, prepared, threshold)
        )

    def is_bare(self, job):
        """Whether he can be seen once the frame is painted."""
        mask = self.truth[job.frame.index][1]
        before = plane_view(job.frame.image.planes[0])[mask]
        self._painter.paint(job.frame)
        seen = plane_view(job.frame.image.planes[0])[mask] == before
        return bool(job.frame.index >= ENTERS and seen.mean() > 0.4)


@pytest.mark.parametrize("takes", [2, 3, 5])
@pytest.mark.parametrize("waits", [True, False])
def test_who_walks_in_is_bare_in_no_frame_unless_frames_are_not_to_wait(takes, waits):
    with Entrance(waits=waits) as stage:
        jobs, bare = [], []
        for index in range(35):
            if index and index % takes == 0:
                stage.answer()
            for job in stage.leaving():
                jobs.append(job.frame.index)
                bare += [job.frame.index] * stage.is_bare(job)
        stage.detector.gate.release(1000)
        for job in stage.schedule.settle([]):
            jobs.append(job.frame.index)
            bare += [job.frame.index] * stage.is_bare(job)
        assert jobs == list(range(35)), "in order, and none is lost at the end"
        assert bool(bare) != waits
        late = "late" in " ".join(said_at_the_end(stage))
        assert late == waits


def said_at_the_end(stage):
    stage.schedule.watch(lambda: Counts(inferred=1))
    return stage.schedule.remarks


def test_what_is_held_when_hiding_ends_goes_on_and_shows_nobody():
    with Entrance() as stage:
        assert [stage.leaving() for _ in range(3)] == [[], [], []]
        stage.answer()
        (first,) = stage.leaving()
        assert first.inferred and first.frame.index == 0
        stage.schedule.cover(wanted=True, hides=False)
        rest = stage.leaving()
        assert [job.frame.index for job in rest] == [1, 2, 3, 4]
        boxes = [job.frame.instances.unsure.boxes.tolist() for job in rest[:3]]
        assert boxes == [[[0, 0, WIDTH, HEIGHT]]] * 3, "nobody has looked at these"


def test_a_frame_that_may_be_looked_at_by_one_who_joins_is_covered_as_a_whole():
    with Entrance() as stage:
        assert stage.leaving() == []
        stage.schedule.watch(Counts, lambda: False)
        rest = stage.leaving()
        assert [job.frame.index for job in rest] == [0, 1]
        assert all(len(job.frame.instances.unsure) == 1 for job in rest)


def test_frames_on_both_sides_of_a_cut_have_what_was_found_on_their_own():
    with Stage() as stage:
        stage.schedule.cover(wanted=True, hides=True)
        other = texture(HEIGHT, WIDTH, 5)
        stage.scenes[6:] = [(other, mask) for _, mask in stage.scenes[6:]]
        found = stage.detector.postprocess
        stage.detector.postprocess = lambda raw, prepared, threshold=None: (
            found(raw, prepared, threshold) if raw < 6 else nobody()
        )
        left = []
        for index in range(14):
            if index and index % 4 == 0:
                stage.answer()
            left += stage.leaving()
        stage.detector.gate.release(1000)
        left += stage.schedule.settle([])
        counts = [len(job.frame.instances) for job in left]
        assert counts == [1] * 6 + [0] * 8


def test_what_there_is_no_room_for_is_no_sign_that_the_display_is_slow(monkeypatch):
    monkeypatch.setattr(room, "MOST_HELD", 3 * WIDTH * HEIGHT * 3 // 2)
    with Entrance() as stage:
        schedule = stage.schedule
        schedule.watch(lambda: stage._figures.counts(0))
        schedule.expected = 0.1
        schedule._propagator.fine = schedule._waits = False  # which come before a rest
        for _ in range(30):
            stage.leaving()
        assert schedule._held.left_out > 20
        stage.hands.at += 1.1
        schedule._adapt()
        assert schedule.rest == 0
