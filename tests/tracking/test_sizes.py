"""Who is who where a source changes the size of its pictures, as streams do."""

from __future__ import annotations

import numpy as np
import pytest

from stream import tracking
from stream.instances import Instances
from stream.pictures.sizes import in_another_size
from stream.run.finder import Finder
from tests.run.parts import Looker

SMALL, LARGE, UPRIGHT, OTHER = (360, 640), (720, 1280), (640, 360), (480, 640)


def seen(boxes: list[list[float]], size: tuple[int, int]) -> Instances:
    count = len(boxes)
    return Instances(
        boxes=np.array(boxes, np.float32),
        scores=np.linspace(0.97, 0.96, count, dtype=np.float32),
        labels=np.zeros(count, np.int64),
        masks=np.ones((count, 28, 28), np.float32),
        class_names=("person",),
        picture_size=size,
    )


def in_size(boxes: list[list[float]], before: tuple[int, int], after: tuple[int, int]):
    return in_another_size(np.array(boxes, np.float32), before, after).tolist()


OURS, LIBRARY = ["motion", "steady"], ["bytetrack", "botsort", "cbiou", "ocsort"]


@pytest.mark.parametrize("name", [*OURS, *LIBRARY])
def test_a_picture_of_another_size_leaves_everybody_his_number(name):
    if name in LIBRARY:
        pytest.importorskip("trackers")
    # Where one is in the small picture the other one is in the large one.
    people = [[60.0, 40, 120, 160], [125.0, 60, 230, 300], [400.0, 80, 470, 300]]
    tracker = tracking.make(name)
    seconds, numbers = 0.0, []
    for size in (SMALL, LARGE, SMALL, UPRIGHT, SMALL):
        there = in_size(people, SMALL, size)
        for _ in range(10):
            seconds += 0.04
            shown = tracker.update(seen(there, size), seconds, 0.5)
            assert shown.picture_size == size
            assert all(box in there for box in shown.boxes.tolist()), size
            numbers.append(shown.track_ids.tolist())
        # The library numbers nobody before it has seen him several times.
        assert numbers[-10:] == [[1, 2, 3]] * 10 or size == SMALL, size
        assert numbers[-1] == [1, 2, 3], size


def test_speed_grows_with_the_picture():
    tracker = tracking.make("motion")
    at, speed = 50.0, 260.0
    for step in range(20):
        size, by = (SMALL, 1) if step < 10 else (LARGE, 2)
        place = by * (at + speed * 0.1 * step)
        box = [place, 100.0 * by, place + 30 * by, 160.0 * by]
        shown = tracker.update(seen([box], size), 0.1 * step, 0.5)
        assert shown.track_ids.tolist() == [1], step


def test_that_sizes_changed_is_said_of_who_is_followed():
    followed, single = Finder(Looker(), tracking.make("motion")), Finder(Looker())
    for step, size in enumerate((SMALL, SMALL, LARGE, OTHER)):
        assert len(followed.remarks) == (step == 3)
        for finder in (followed, single):
            finder.follow(seen([[10, 10, 60, 80]], size), step / 25)
    assert "changed their size 2 times" in followed.remarks[0] and not single.remarks
