"""Where the timing panel lies: where nobody is, and there for good."""

import json

import numpy as np
import pytest

from stream.compositing import Painter
from stream.compositing.corner import Corner
from tests.compositing.pictures import astronaut, frame, people, samples

SIZE = (240, 320)

EVERYWHERE, LEFT, TOP = (0, 0, 320, 240), (0, 0, 100, 240), (0, 0, 320, 100)
RIGHT = (220, 0, 320, 240)


def boxes(*given):
    return np.array(given, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("given", "place"),
    [((), 0), ((EVERYWHERE,), 0), ((LEFT,), 1), ((TOP,), 2), ((LEFT, TOP), 3), ((RIGHT,), 0),
     (((66, 0, 100, 240),), 0), (((float("nan"),) * 4,), 0)],
)  # fmt: skip
def test_it_lies_where_nobody_is_and_top_left_where_that_makes_no_difference(given, place):
    corner = Corner()
    corner.look(boxes(*given), SIZE, 0.0)
    assert corner.place == place


def test_it_waits_for_the_first_object_and_then_stays_as_long_as_it_is_any_good():
    corner, places = Corner(), []
    for index in range(25 * 60):
        seconds = index / 25
        if seconds < 1:
            there = boxes()
        elif seconds < 20:
            there = boxes(LEFT) if seconds % 2 < 1.5 else boxes(RIGHT)  # passes by now and then
        else:
            there = boxes(RIGHT)
        corner.look(there, SIZE, seconds)
        places.append(corner.place)
    moves = [index / 25 for index in range(1, len(places)) if places[index] != places[index - 1]]
    assert [places[0], places[25], places[-1]] == [0, 1, 0]
    assert len(moves) == 2 and moves[0] == 1 and 20 < moves[1] < 25


def test_it_goes_to_the_same_corner_where_there_are_no_figures_yet():
    """As in a fleet, where a part goes on with what was known before it without painting it."""
    states = []
    for lines in ([], ["Inference time:\t3 ms", "decode\t1 ms"]):
        painter = Painter("overlay")
        picture = astronaut(320, 240)
        painter.paint(frame(picture, people(picture, (5, 5, 90, 230))), lines)
        states.append(painter.state())
    assert states[0] == states[1]


def test_time_that_jumps_back_and_parts_that_go_on_keep_it():
    one = Corner()
    one.look(boxes(LEFT), SIZE, 1000.0)
    one.look(boxes(LEFT), SIZE, 0.0)
    assert one.place == 1
    other = Corner()
    other.go_on(json.loads(json.dumps(one.state())))
    for seconds in np.arange(0, 30, 0.04).tolist():
        one.look(boxes(RIGHT), SIZE, seconds)
        other.look(boxes(RIGHT), SIZE, seconds)
        assert one.place == other.place
    assert one.place == 0


@pytest.mark.parametrize("size", [(640, 480), (321, 241), (1000, 40), (90, 700)])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv411p", "gray"])
def test_it_lies_within_the_picture_in_every_corner(size, pixels):
    width, height = size
    for box in ((0, 0, width * 0.6, height), (0, 0, width, height * 0.6), (0, 0, width, 1)):
        picture = astronaut(width, height, pixels)
        clean = samples(picture)[0].astype(int)
        there = people(picture, box)
        Painter("binary", timing=False).paint(
            plain := frame(astronaut(width, height, pixels), there)
        )
        painted = frame(picture, there)
        Painter("binary", timing=True).paint(painted, ["Inference time:\t3 ms", "decode\t1 ms"])
        differs = samples(painted.image)[0] != samples(plain.image)[0]
        assert differs.sum() <= clean.size / 12
