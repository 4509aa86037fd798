"""Lines and zones: how they are asked for, and where a point lies."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.tally import area, crosses, depth, parse_line, parse_regions, parse_zone, side

sides = st.floats(-50, 150)
points = st.tuples(sides, sides)


def test_pixels_and_percent_and_names():
    line = parse_line("door = 0,50%,100%,50%", "line 1")
    assert (line.name, line.points((100, 200))) == ("door", ((0, 50), (200, 50)))
    zone = parse_zone("1, 2.5,.5,4,5,-6", "zone 1")
    assert (zone.name, zone.points((9, 9))) == ("zone 1", ((1, 2.5), (0.5, 4), (5, -6)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2,3", "--line is x1,y1,x2,y2, .* not 3 numbers"),
        ("1,2,3,4,5,6", "not 6 numbers"),
        ("0,1,1", "not 3 numbers"),
        ("1,2,1,2", "begins and ends at one point"),
        ("a,b,c,d", "--line is x1,y1,x2,y2, such as"),
        ("1,2,3,nan", "--line is"),
        ("1,2,3,1e9", "--line is"),
        ("1,2,3,9999999999", "--line is"),
        ("", "--line is"),
        (" =1,2,3,4", "empty name"),
        ("T\udcfcr=1,2,3,4", r"no text in UTF-8: 'T\\udcfcr=1,2,3,4'"),
        ("0,0.5,1,0.5", "lies in one pixel; did you mean 0,50%,100%,50%"),
        ("0,0,0,0", "all of '0,0,0,0' lies in one pixel$"),
    ],
)
def test_what_is_no_line_is_refused(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        parse_line(text, "line 1")


def test_what_is_no_zone_is_refused_and_so_are_names_that_are_there_twice():
    for text in ("1,2,3,4", "1,2,3,4,5", "1,2,3,4,5,6,7,8,9", "x"):
        with pytest.raises(UsageError, match="--zone is x,y of three corners or more"):
            parse_zone(text, "zone 1")
    with pytest.raises(UsageError, match="two lines or zones are called 'a'"):
        parse_regions(["a=1,2,3,4"], ["a=1,2,3,4,5,6"])


def test_what_has_no_name_is_counted_from_one_and_reaches_as_far_as_may_be():
    lines, zones = parse_regions(["1,2,3,4", "a=1,2,3,4"], ["1,2,3,4,5,1000000"])
    assert [one.name for one in (*lines, *zones)] == ["line 1", "a", "zone 1"]
    for text, in_pixels in (("0,50%,100%,50%", False), ("0,5,100%,50%", True), ("1,2,3,4", True)):
        assert parse_line(text, "line").in_pixels is in_pixels, text


def test_right_is_as_seen_along_the_line():
    along = ((0.0, 10.0), (100.0, 10.0))
    assert side((50, 15), along) == 5
    assert side((50, 5), along) == -5
    assert crosses((50, 5), (60, 15), along)
    assert not crosses((150, 5), (160, 15), along)
    assert not crosses((-20, 5), (-1, 15), along)


def test_a_way_crosses_a_line_that_lies_anywhere_between_its_ends_and_at_them():
    ends = ((12.0, 24.0), (60.0, 88.0))  # 80 long, along (0.6, 0.8)
    for along, meets in ((-1, False), (0, True), (1, True), (79, True), (80, True), (81, False)):
        x, y = 12 + 0.6 * along, 24 + 0.8 * along
        # From 30 pixels on its left, slantwise, to 10 on its right.
        before, after = (x + 30 * 0.8 - 3 * 6, y - 30 * 0.6 - 3 * 8), (x - 8 + 6, y + 6 + 8)
        assert side(before, ends) == pytest.approx(-30) and side(after, ends) == pytest.approx(10)
        if along not in (0, 80):
            assert crosses(before, after, ends) is crosses(after, before, ends) is meets, along
    level = ((8.0, 4.0), (16.0, 4.0))
    assert all(crosses((at, 3), (at, 7), level) for at in (8, 16))
    # Along the line itself it is where its middle is.
    assert crosses((14, 4), (16, 4), level) and not crosses((0, 4), (12, 4), level)


@given(points, points, points, st.lists(points, max_size=3))
def test_a_point_is_as_deep_in_a_polygon_as_opencv_says(point, a, b, others):
    corners = [a, b, *others, (40.0, 60.0)]
    known = cv2.pointPolygonTest(np.array(corners, np.float32), point, measureDist=True)
    mine = depth(point, corners)
    assert abs(mine) == pytest.approx(abs(known), abs=1e-2)
    if abs(known) > 0.01:
        assert (mine > 0) == (known > 0)


def test_what_lies_in_a_notch_is_outside():
    arrow = [(0.0, 0.0), (10.0, 0.0), (4.0, 5.0), (10.0, 10.0), (0.0, 10.0)]
    for point, deep in (((2, 5), 2), ((1, 1), 1), ((3, 9), 1), ((12, 0), -2), ((-3, 5), -3)):
        assert depth(point, arrow) == pytest.approx(deep), point
    assert depth((9, 5), arrow) < -3 < 0 < depth((3.5, 5), arrow) <= 0.5
    assert depth((5, 5), [(4.0, 5.0), (4.0, 5.0), (8.0, 5.0)]) == 0, "it has no inside"


def test_an_area_is_that_of_a_square():
    assert area([(1, 1), (5, 1), (5, 5), (1, 5)]) == 16
    assert math.isclose(area([(0, 0), (4, 0), (0, 3)]), 6)


def test_one_number_is_one_number():
    for parse in (parse_line, parse_zone):
        with pytest.raises(UsageError, match=r"not 1 number$"):
            parse("5", "name")
