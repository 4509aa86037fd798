"""Files: inference on some frames, the nearer inference's masks on the others."""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from stream.frame import Frame, Passthrough
from stream.inference.preprocess import Prepared
from stream.instances import Instances
from stream.run import look_ahead
from stream.run.figures import Figures, Job
from stream.run.finder import Finder
from stream.run.look_ahead import LARGEST, LookAhead
from stream.run.unsure import BETWEEN
from stream.timing import END_TO_END, Clock
from tests.run.parts import Looker, prepared_number
from tests.scenes import BACKGROUND, HEIGHT, WIDTH, frame_of, instances_of, overlap, scene, texture


class Told(Looker):
    """A detector that finds what it is told to find in each frame, by the frame's index."""

    def __init__(self, find: Callable[[int], Instances], workers: int = 1) -> None:
        super().__init__(workers=workers)
        self._find = find
        self.asked: list[int] = []
        self.images: dict[int, int] = {}
        self._turn = threading.Lock()

    def preprocess(self, image) -> Prepared:
        number = self.images[id(image)]
        with self._turn:  # two inputs are made at once, and the later one may be ready first
            insort(self.asked, number)
        return prepared_number(number)

    def postprocess(self, raw, prepared, threshold=None) -> Instances:
        return self._find(raw)


def settled(schedule: LookAhead, detector: Told, pictures: list[np.ndarray]) -> list[Frame]:
    """The frames as they leave the schedule, each with a packet before it."""
    figures = Figures(Clock(), END_TO_END)
    frames = [frame_of(luma, index) for index, luma in enumerate(pictures)]
    items = []
    for frame in frames:
        detector.images[id(frame.image)] = frame.index
        job = figures.enter(frame)
        schedule.enter(job)
        items += [Passthrough([]), job]
    try:
        left = list(schedule.settle(items))
    finally:
        schedule.close()
    assert left == items, "in their order, packets in their places"
    return frames


def test_every_third_frame_is_inferred_and_the_others_follow():
    scenes = [scene(100 + 2 * index, 60 + index) for index in range(10)]
    detector = Told(lambda index: instances_of(scenes[index][1]))
    schedule = LookAhead(Finder(detector), 3)
    frames = settled(schedule, detector, [luma for luma, _ in scenes])
    assert detector.asked == [0, 3, 6, 9]
    assert (schedule.inferred, schedule.propagated) == (4, 6)
    assert "inference ran on 4 frames; to the other 6" in schedule.remarks[0]
    for frame, (_, truth) in zip(frames, scenes, strict=True):
        assert frame.instances is not None
        assert overlap(frame.instances.full_masks()[0], truth) > 0.9
        assert ("infer" in frame.stages) == (frame.index in detector.asked)
        assert ("motion" in frame.stages) == (frame.index not in detector.asked)


def test_no_more_frames_wait_than_go_into_memory_however_rare_inference_is(monkeypatch):
    """As with `--every 100000`, where a film of an hour was held from its first frame on."""
    scenes = [scene(100 + 2 * index, 60) for index in range(13)]
    picture = frame_of(scenes[0][0]).image
    size = sum(plane.buffer_size for plane in picture.planes)
    monkeypatch.setattr(look_ahead, "_MOST_WAITING", 5 * size + size // 2)
    waiting: list[int] = []

    class Counted(LookAhead):
        def _release(self, grey, found):
            waiting.append(sum(isinstance(one, Job) for one, _ in self._waiting))
            return super()._release(grey, found)

    for interval, asked in ((4, [0, 4, 8, 12]), (10**6, [0, 5, 10, 12])):
        detector = Told(lambda index: instances_of(scenes[index][1]))
        schedule = Counted(Finder(detector), interval)
        waiting.clear()
        settled(schedule, detector, [luma for luma, _ in scenes])
        assert detector.asked == asked and max(waiting) == asked[1] - 1
        sooner = [one for one in schedule.remarks if "sooner than --every says" in one]
        assert len(sooner) == (interval > 4)
        assert all(one.startswith("it ran after 5 frames, ") for one in sooner)


def test_a_frame_takes_the_instances_of_the_nearer_inference():
    scenes = [scene(100 + 4 * index, 60) for index in range(7)]

    def find(index):
        found = instances_of(scenes[index][1])
        if index == 0:
            return found
        return replace(found, labels=np.array([1]), class_names=("a", "b"))

    detector = Told(find)
    frames = settled(LookAhead(Finder(detector), 6), detector, [luma for luma, _ in scenes])
    labels = [frame.instances.labels.tolist() for frame in frames if frame.instances is not None]
    assert labels == [[0], [0], [0], [0], [1], [1], [1]]
    for frame, (_, truth) in zip(frames, scenes, strict=True):
        assert frame.instances is not None
        assert overlap(frame.instances.full_masks()[0], truth) > 0.85


@pytest.mark.parametrize("known", [0, 6])
@pytest.mark.parametrize("covers", [True, False])
def test_who_is_in_either_inference_is_covered_in_all_frames_between(known, covers):
    scenes = [scene(100 + 4 * index, 60) for index in range(7)]

    def find(index):
        found = instances_of(scenes[index][1])
        return found if index == known else found[:0]

    detector = Told(find)
    schedule = LookAhead(Finder(detector, covers=covers), 6)
    frames = settled(schedule, detector, [luma for luma, _ in scenes])
    for frame, (_, truth) in zip(frames[1:6], scenes[1:6], strict=True):
        shown, doubted = frame.instances, frame.instances.unsure
        near = abs(frame.index - known) < 3 or (known == 0 and frame.index == 3)
        assert len(shown) == near
        assert (doubted is None) is not covers
        if not near and covers:
            assert overlap(doubted.full_masks()[0], truth) > 0.8
            assert doubted.track_ids is None


@pytest.mark.parametrize("hides", [True, False])
def test_where_objects_are_hidden_it_is_said_who_may_be_bare(hides):
    scenes = [scene(100 + 4 * index, 60) for index in range(5)]
    detector = Told(lambda index: instances_of(scenes[index][1]))
    schedule = LookAhead(Finder(detector), 4)
    schedule.cover(wanted=True, hides=hides)
    settled(schedule, detector, [luma for luma, _ in scenes])
    (told,) = schedule.remarks
    assert ("is bare: leave out --every" in told) is hides


def test_a_cut_is_inferred_at_once():
    first, inside = scene(100, 60)
    pictures = [first] * 4 + [texture(HEIGHT, WIDTH, 5)] * 4
    detector = Told(lambda index: instances_of(inside))
    settled(LookAhead(Finder(detector), 6), detector, pictures)
    assert detector.asked == [0, 4, 7], "and so is the last frame"


def test_whom_the_model_hardly_sees_is_covered_between_two_inferences_alone():
    scenes = [scene(100 + 4 * index, 60) for index in range(5)]
    faint = [0.5 * share for share in (BETWEEN + 0.01, BETWEEN - 0.01)]

    def find(index):
        found = instances_of(scenes[index][1]).select([0, 0])
        return replace(found, scores=np.array(faint, np.float32))

    detector = Told(find)
    detector.threshold = 0.5
    schedule = LookAhead(Finder(detector, covers=True), 4)
    frames = settled(schedule, detector, [luma for luma, _ in scenes])
    # Between, what either of two inferences doubts; where the model looked, `FLOOR`.
    assert [len(frame.instances.unsure) for frame in frames] == [0, 2, 2, 2, 0]


def test_who_comes_behind_the_last_inference_is_covered_to_the_end():
    scenes = [scene(100 + 4 * index, 60) for index in range(9)]
    detector = Told(lambda index: instances_of(scenes[index][1])[: int(index > 6)])
    schedule = LookAhead(Finder(detector, covers=True), 6)
    frames = settled(schedule, detector, [luma for luma, _ in scenes])
    assert detector.asked == [0, 6, 8]
    assert (schedule.inferred, schedule.propagated) == (3, 6)
    doubted = frames[7].instances
    there = doubted if len(doubted) else doubted.unsure
    assert overlap(there.full_masks()[0], scenes[7][1]) > 0.8
    assert len(frames[8].instances) == 1


@pytest.mark.parametrize("covers", [True, False])
def test_a_frame_that_looks_like_neither_key_may_show_anybody(covers, monkeypatch):
    first, inside = scene(100, 60)
    pictures = [first] * 3 + [texture(HEIGHT, WIDTH, 5)] + [first] * 3
    detector = Told(lambda index: instances_of(inside))
    schedule = LookAhead(Finder(detector, covers=covers), 6)
    # As where a picture dissolves into another: no frame is far from the one before.
    monkeypatch.setattr("stream.run.look_ahead.is_cut", lambda before, after: False)
    frames = settled(schedule, detector, pictures)
    assert detector.asked == [0, 6]
    unknown = frames[3].instances
    assert [len(frame.instances or ()) for frame in frames] == [1, 1, 1, 0, 1, 1, 1]
    assert (unknown is not None) == covers
    if covers:
        assert unknown.unsure.boxes.tolist() == [[0, 0, WIDTH, HEIGHT]]


def test_a_frame_that_looks_like_the_farther_key_alone_has_what_was_found_there(monkeypatch):
    first, inside = scene(100, 60)
    pictures = [texture(HEIGHT, WIDTH, 5)] * 2 + [first] * 5
    detector = Told(lambda index: instances_of(inside)[: int(index > 1)])
    monkeypatch.setattr("stream.run.look_ahead.is_cut", lambda before, after: False)
    frames = settled(LookAhead(Finder(detector), 6), detector, pictures)
    assert [len(frame.instances) for frame in frames] == [0, 0, 1, 1, 1, 1, 1]


def test_before_a_cut_to_where_nobody_is_all_is_as_it_was_before():
    scenes = [scene(100 + 4 * index, 60) for index in range(4)]
    pictures = [luma for luma, _ in scenes] + [texture(HEIGHT, WIDTH, 5)] * 2

    def find(index):
        found = instances_of(scenes[0][1])
        return found if index < 4 else found[:0]

    detector = Told(find)
    frames = settled(LookAhead(Finder(detector), 6), detector, pictures)
    assert detector.asked == [0, 4, 5]
    counts = [len(frame.instances) for frame in frames]
    assert counts == [1, 1, 1, 1, 0, 0], "the nearer inference is of another scene"


def test_auto_chooses_by_the_time_that_inference_takes():
    def measured(workers: int, seconds: float) -> int:
        schedule = LookAhead(Finder(Looker(workers=workers)), None, Fraction(30))
        try:
            assert schedule.interval == 1, "before the first inference"
            frame = frame_of(BACKGROUND)
            frame.stages.update(infer=seconds)
            schedule._measure(frame)
            return schedule.interval
        finally:
            schedule.close()

    assert measured(1, 0.095) == 3
    assert measured(2, 0.095) == 2, "two at once take half the time each"
    assert measured(1, 5.0) == LARGEST
    with pytest.raises(ValueError, match="every 1st"):
        LookAhead(Finder(Looker()), 0)


@pytest.mark.parametrize("covers", [True, False])
@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_nothing_is_carried_to_before_a_half_of_the_picture_is_another_scene(side, covers):
    """As where two films are side by side, or one beside something that stands still."""
    there = {
        "left": np.s_[:, : WIDTH // 2],
        "right": np.s_[:, WIDTH // 2 :],
        "top": np.s_[: HEIGHT // 2],
        "bottom": np.s_[HEIGHT // 2 :],
    }[side]
    before = texture(HEIGHT, WIDTH, 3)
    later = before.copy()
    later[there] = np.clip(255 - before[there].astype(int), 0, 255)
    _, inside = scene(100, 60)

    def find(index):
        return instances_of(inside)[: int(index >= 4)]

    detector = Told(find)
    schedule = LookAhead(Finder(detector, covers=covers), 6)
    frames = settled(schedule, detector, [before] * 4 + [later] * 4)
    assert detector.asked == [0, 4, 7]
    assert [len(frame.instances) for frame in frames] == [0, 0, 0, 0, 1, 1, 1, 1]
    for frame in frames[:4]:
        assert not len(frame.instances.unsure or ())
