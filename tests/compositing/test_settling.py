"""Labels that stand still while what they belong to does."""

import json
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.compositing.layers.labels import Label, LabelPainter
from stream.compositing.planes import writable_planes
from stream.compositing.settling import Settled
from stream.frame import Frame
from tests.compositing.pictures import astronaut, people, samples

HEIGHT = 20


@pytest.fixture
def followed():
    """What the filter says of one object's points, at 25 frames a second."""
    settled = Settled()

    def said(points, start=0.0):
        found = []
        for step, point in enumerate(points):
            settled.begin(start + step / 25)
            if point is not None:
                found.append(settled.point(1, point, HEIGHT))
        return np.array(found)

    return said


def windows(monkeypatch, frames, seconds=None):
    """For each frame the first row and column of each label."""
    painter, put = LabelPainter(), []
    monkeypatch.setattr(
        "stream.compositing.layers.labels.put_all",
        lambda planes, sprites: put.extend((top, left) for _, top, left in sprites),
    )
    found = []
    for step, points in enumerate(frames):
        labels = [Label(f"#{track}", (255, 0, 0), *point, track) for track, point in points.items()]
        when = step / 25 if seconds is None else seconds[step]
        painter.paint(writable_planes(astronaut(640, 480)), labels, (), when)
        found.append(put[-len(labels) :])
    return found


def test_what_trembles_has_a_label_that_stands(monkeypatch):
    rng = np.random.default_rng(1)
    frames = [{3: (300 + rng.normal(), 200 + rng.normal())} for _ in range(60)]
    seen = windows(monkeypatch, frames)
    assert sum(one != other for one, other in pairwise(seen)) <= 3


@pytest.mark.parametrize("speed", [100, 400, 1600])
def test_what_moves_has_its_label_with_it(followed, speed):
    points = [(100 + speed * step / 25, 50.0) for step in range(60)]
    assert np.abs(followed(points) - points)[20:].max() < HEIGHT / 2


def test_who_was_gone_has_his_label_where_he_is_found(followed):
    said = followed([(100.0, 100.0)] * 20 + [None] * 3 + [(400.0, 300.0)])
    assert said[-1].tolist() == [400, 300]


@pytest.mark.parametrize("start", [0.0, 5.0 + 19 / 25])
def test_where_time_goes_back_or_stands_nothing_is_known(followed, start):
    followed([(100.0, 100.0)] * 20, start=5.0)
    assert followed([(400.0, 300.0)], start=start).tolist() == [[400, 300]]


def test_two_that_have_room_by_a_hair_now_and_then_do_not_change_places(monkeypatch):
    """The second one gives way to the first in every other frame."""
    frames = [{1: (300, 200), 2: (322 + 14 * (step % 2), 200)} for step in range(50)]
    seen = windows(monkeypatch, frames)
    moves = [abs(after[1][0] - before[1][0]) for before, after in pairwise(seen)]
    assert sum(move > 4 for move in moves) <= 1


def test_who_gave_way_comes_back_once_there_has_been_room_for_a_while(monkeypatch):
    beside = [{1: (300, 200), 2: (310, 200)}] * 20
    alone = [{2: (310, 200)}] * 40
    seen = [one[-1] for one in windows(monkeypatch, beside + alone)]
    assert seen[0] == seen[20] == seen[30] != seen[50] == seen[59]


def test_labels_of_nothing_that_is_followed_stand_where_each_frame_says(monkeypatch):
    painted = []
    for x in (300, 301.5, 303):
        frames = [{None: (x, 200)}]
        painted.append(windows(monkeypatch, frames)[0])
    assert len({tuple(one) for one in painted}) > 1


def test_a_number_that_two_have_tells_them_not_apart_and_ends_nothing(monkeypatch):
    painter, put = LabelPainter(), []
    monkeypatch.setattr(
        "stream.compositing.layers.labels.put_all",
        lambda planes, sprites: put.extend((top, left) for _, top, left in sprites),
    )
    for step in range(3):
        labels = [Label("#1", (255, 0, 0), x, 200, 1) for x in (100, 400)]
        painter.paint(writable_planes(astronaut(640, 480)), labels, (), step / 25)
    assert put[:2] == put[2:4] == put[4:] and put[0] != put[1]


def trembling(random, count):
    """Boxes of two who walk past each other, a little off in each frame, one away at times."""
    for step in range(count):
        middles = (60 + 2 * step, 150 - 2 * step)
        boxes = [
            (middle - 22 + random.normal(0, 2), 40 + random.normal(0, 2), middle + 22, 150)
            for middle in middles
        ]
        yield boxes if step % 9 else boxes[:1]


@pytest.mark.parametrize("begins", [1, 7, 20])
@pytest.mark.parametrize("look", ["overlay", "labels", "fill+labels+boxes"])
def test_another_painter_goes_on_as_if_it_had_painted_what_came_before(look, begins):
    random = np.random.default_rng(4)
    style = Style()
    one, other = (Painter(look, style, timing=False) for _ in range(2))
    for step, boxes in enumerate(trembling(random, 30)):
        if step == begins:
            other.go_on(json.loads(json.dumps(one.state())))
        whole, part = astronaut(), astronaut()
        for painter, picture in ((one, whole), (other, part)):
            if painter is one or step >= begins:
                found = people(picture, *boxes, tracks=list(range(1, len(boxes) + 1)))
                painter.paint(Frame(picture, step, step, Fraction(1, 25), instances=found))
        if step >= begins:
            assert all(map(np.array_equal, samples(whole), samples(part)))


def test_a_painter_says_whether_it_settles_and_whether_that_is_all():
    assert Painter("overlay").settles
    assert not Painter("overlay").remembers
    assert not Painter("overlay", Style(label="none"), timing=False).settles
    assert not Painter("fill+contour").settles
    # Where edges are refined, labels stand on what pictures say, which are not there.
    assert Painter("overlay", Style(refine=True)).remembers
    assert Painter("fill", Style(steady_edges=True)).remembers
    assert not Painter("fill", Style(refine=True)).remembers
