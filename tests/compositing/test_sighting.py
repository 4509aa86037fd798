"""Who was found in a frame: those that are somewhere, and whether all are there later."""

import math
from dataclasses import replace

import numpy as np
import pytest

from stream.compositing.canvas import Canvas
from stream.compositing.mask_memory import Memory
from stream.compositing.scenery import Glance
from stream.compositing.sighting import NOBODY, sighted
from stream.compositing.style import Style
from tests.compositing.pictures import astronaut, people

BOXES = (10, 10, 60, 90), (40, 20, 140, 150), (0, 0, 30, 30)
NOWHERE = (math.nan, 0, 10, 10), (0, -math.inf, 10, 10), (0, 0, math.inf, math.inf)


def seen(found):
    picture = astronaut(200, 160)
    glance = Glance(Canvas(picture, found, Style(), Memory()))
    return sighted(found, 2.0, glance, sure=False)


def people_of(boxes, tracks=None):
    return people(astronaut(200, 160), *boxes, tracks=tracks)


@pytest.mark.parametrize("field", ["boxes", "mask_boxes"])
def test_who_is_nowhere_was_not_seen(field):
    for place in NOWHERE:
        found = people_of(BOXES, [4, 5, 6])
        found.masks[:] *= np.array([1, 0.5, 0.25], np.float32)[:, None, None]
        places = found.boxes.copy()
        places[1] = place
        found = replace(found, **{field: found.boxes.copy()})
        getattr(found, field)[...] = places  # refused where instances are made
        first, last = seen(found).each()
        assert (first.identity, last.identity) == (4, 6), place
        assert first.box.tolist() == list(BOXES[0]) and last.mask_box.tolist() == list(BOXES[2])
        assert (first.seconds, first.sure) == (2.0, False)
        masks = [np.max(one.mask.codes) for one in (first, last)]
        assert masks[0] > 3 * masks[1] > 0, place
        assert list(seen(found[1:2]).each()) == [], place


def test_of_nobody_nothing_was_seen():
    assert list(NOBODY.each()) == [] == list(seen(people_of([])).each())
    assert NOBODY.seconds == -math.inf


def test_all_are_there_later_where_each_of_them_has_its_number_there():
    one, both, others = (
        seen(people_of(BOXES[: len(tracks)], tracks)) for tracks in ([7], [8, 7], [8])
    )
    assert one.all_in(both) and both.all_in(both) and NOBODY.all_in(one)
    assert not both.all_in(one) and not one.all_in(others)
    nameless = seen(people_of(BOXES[:1]))
    assert not nameless.all_in(nameless)


def test_a_picture_of_another_size_shows_the_same_elsewhere():
    (one,) = seen(people_of(BOXES[:1])).each()
    moved = one.resized((160, 200), (320, 400))
    assert moved.box.tolist() == moved.mask_box.tolist() == [20, 20, 120, 180]
