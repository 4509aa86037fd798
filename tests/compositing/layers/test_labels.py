import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing import Painter, Style
from stream.compositing.layers.labels import Label, LabelPainter, place
from stream.compositing.palette import PALETTE
from stream.compositing.planes import writable_planes
from stream.compositing.taken import Taken
from stream.compositing.text import text_size
from tests.compositing.pictures import FORMATS, astronaut, frame, padding, people, same, samples

anywhere = st.floats(-5000, 5000)


def overlap(one, other):
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


@given(st.data(), st.sampled_from([(1, 1), (2, 2), (1, 4)]))
def test_a_place_is_inside_on_the_grid_and_of_the_size(data, grid):
    size = [data.draw(st.integers(1, 30)) * step for step in grid]
    room = [
        length + data.draw(st.integers(0, 200)) * step
        for length, step in zip(size, grid, strict=True)
    ]
    taken = data.draw(st.lists(st.tuples(*[st.integers(0, 200)] * 4), max_size=5))
    point = data.draw(st.tuples(anywhere, anywhere))
    top, bottom, left, right = place(tuple(size), point, tuple(room), grid, Taken(room, taken))
    assert 0 <= top < bottom <= room[0]
    assert 0 <= left < right <= room[1]
    assert [bottom - top, right - left] == size
    assert top % grid[0] == left % grid[1] == 0


def test_a_label_stands_above_its_point():
    assert place((20, 60), (200, 100), (400, 400), (2, 2), Taken((400, 400))) == (76, 96, 170, 230)


def test_labels_of_the_same_place_stand_clear_of_each_other():
    taken = []
    for _ in range(8):
        taken.append(place((20, 60), (200, 200), (400, 400), (2, 2), Taken((400, 400), taken)))
    assert not any(overlap(a, b) for i, a in enumerate(taken) for b in taken[:i])


def test_a_label_keeps_clear_of_what_is_occupied():
    panel = (8, 250, 8, 300)
    window = place((20, 60), (100, 60), (720, 1280), (2, 2), Taken((720, 1280), [panel]))
    assert not overlap(window, panel)


def test_a_label_goes_a_little_aside_before_it_goes_down_to_the_face():
    panel = (0, 20, 0, 170)
    assert place((20, 60), (180, 10), (400, 400), (2, 2), Taken((400, 400), [panel])) == (
        0,
        20,
        170,
        230,
    )
    assert place((20, 60), (120, 10), (400, 400), (2, 2), Taken((400, 400), [panel])) == (
        22,
        42,
        90,
        150,
    ), "too far"


def test_where_all_is_full_a_label_stands_where_it_belongs():
    everything = (0, 400, 0, 400)
    assert place((20, 60), (200, 100), (400, 400), (2, 2), Taken((400, 400), [everything])) == (
        76,
        96,
        170,
        230,
    )


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (720, 1280, 18),
        (1080, 1920, 27),
        (2160, 3840, 54),
        (1280, 720, 14),
        (144, 176, 9),
        (100, 150, 8),
        (48, 64, 6),
    ],
)
def test_text_grows_with_the_picture(height, width, size):
    assert text_size(height, width) == size


@pytest.mark.parametrize("size", [(64, 48), (101, 77), (333, 17), (16, 16), (17, 333)])
def test_labels_leave_the_line_padding_alone(size):
    labels = [
        Label("traffic light 98%", PALETTE[0], x, y)
        for x, y in ((-50, -50), (0, 0), (size[0], size[1]), (size[0] / 2, 10), (9999, 9999))
    ]
    for pixels in FORMATS:
        picture = astronaut(*size, pixels)
        outside = padding(picture)
        for edge in outside:
            edge[:] = 99
        LabelPainter().paint(writable_planes(picture), labels)
        assert all((edge == 99).all() for edge in outside), pixels


def test_a_label_is_readable_on_dark_and_on_bright():
    for level in (16, 235):
        planes = writable_planes(astronaut(320, 240))
        planes.samples[0][:] = level
        LabelPainter().paint(planes, [Label("person 98%", PALETTE[0], 160, 120)])
        rows, columns = np.nonzero(planes.samples[0] != level)
        there = planes.samples[0][rows.min() + 2 : rows.max() - 1, columns.min() : columns.max()]
        # Black letters on the plate's blue, whatever is behind.
        assert there.min() < 40
        assert np.median(there) > 90


def test_a_picture_without_room_for_a_letter_stays_as_it_is():
    picture = astronaut(16, 6)
    before = samples(picture)
    LabelPainter().paint(writable_planes(picture), [Label("person", PALETTE[0], 8, 4)])
    assert same(before, samples(picture))


def test_in_a_tiny_picture_labels_say_less_and_hide_no_object():
    found = people(astronaut(64, 48), (12, 16, 40, 48), tracks=[1])
    words = {}
    for label in ("name number score", "name number", "name", "score"):
        one = frame(astronaut(64, 48), found)
        Painter("labels", Style(label=label), timing=False).paint(one)
        words[label] = samples(one.image)
        changed = np.argwhere(words[label][0] != samples(astronaut(64, 48))[0])
        assert len(changed) > 0, label
        assert changed[:, 0].max() < 16, label
    assert same(words["name number score"], words["name number"])
    assert not same(words["name number"], words["name"])
    one = frame(astronaut(40, 28), people(astronaut(40, 28), (10, 8, 30, 28)))
    Painter("labels", Style(), timing=False).paint(one)
    assert same(samples(one.image), samples(astronaut(40, 28)))
