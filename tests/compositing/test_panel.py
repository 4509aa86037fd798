import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.compositing import TimingPanel, timing_lines
from tests.compositing.pictures import FORMATS, astronaut, memory, same, samples

LINES = timing_lines({"decode": 0.002, "infer": 0.0123, "encode": 0.1234}, 29.97, "CPU (int8)")


def test_inference_time_comes_first_then_the_other_stages_in_their_order():
    assert LINES == [
        "Inference time:\t12.3 ms",
        "decode\t2.0 ms",
        "encode\t123 ms",
        "frames per second\t30.0",
        "provider\tCPU (int8)",
    ]


def test_what_is_not_known_is_left_out():
    assert timing_lines({"decode": 0.002}) == ["decode\t2.0 ms"]
    assert timing_lines({}) == []


@pytest.mark.parametrize("pixels", FORMATS)
def test_it_sits_top_left_and_changes_nothing_else(pixels):
    picture = astronaut(321, 243, pixels)
    before = samples(picture)
    top, bottom, left, right = TimingPanel().paint(picture, LINES)
    assert 0 < top < 12
    assert 0 < left < 12
    assert bottom < 130
    assert right < 200
    for old, new, plane in zip(before, samples(picture), picture.planes, strict=True):
        rows, columns = round(243 / plane.height), round(321 / plane.width)
        there = np.s_[top // rows : bottom // rows, left // columns : right // columns]
        assert not np.array_equal(old[there], new[there])
        new[there] = old[there]
        assert np.array_equal(old, new)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_it_is_readable_on_any_background(level):
    picture = astronaut(640, 480, "gray")
    memory(picture)[0][:] = level
    top, bottom, left, right = TimingPanel().paint(picture, LINES)
    there = samples(picture)[0][top + 4 : bottom - 4, left + 4 : right - 4]
    assert there.max() == 255
    assert np.median(there) < 110
    assert (there > 200).mean() > 0.05


def test_values_are_flush_right_and_the_width_does_not_follow_every_digit():
    panel = TimingPanel()
    windows = {
        panel.paint(astronaut(640, 480), timing_lines({"infer": seconds}, 29.97, "CPU"))
        for seconds in (0.0111, 0.0123, 0.0888, 0.0999)
    }
    assert len(windows) == 1


def test_the_same_lines_are_set_once():
    panel = TimingPanel()
    one, other = astronaut(640, 480), astronaut(640, 480)
    panel.paint(one, LINES)
    panel.paint(other, list(LINES))
    assert panel._stamp.cache_info().hits == 1
    assert same(samples(one), samples(other))


def test_on_a_small_picture_the_first_lines_take_at_most_half():
    _, bottom, _, _ = TimingPanel().paint(astronaut(176, 144), [*LINES, *LINES])
    assert bottom <= 80


def test_nothing_to_say_or_no_room_leaves_the_picture():
    for picture, lines in ((astronaut(), []), (astronaut(16, 16), LINES)):
        before, at = samples(picture), picture.planes[0].buffer_ptr
        assert TimingPanel().paint(picture, lines) is None
        assert same(before, samples(picture))
        assert picture.planes[0].buffer_ptr == at


@settings(max_examples=100, deadline=None)
@given(
    st.integers(16, 200),
    st.integers(16, 200),
    st.sampled_from(FORMATS),
    st.lists(st.one_of(st.text(max_size=30), st.sampled_from(LINES)), max_size=12),
)
def test_any_lines_in_any_picture_stay_inside_it(width, height, pixels, lines):
    picture = astronaut(width, height, pixels)
    padding = [
        full[:, plane.width :] for full, plane in zip(memory(picture), picture.planes, strict=True)
    ]
    for part in padding:
        part[:] = 99
    window = TimingPanel().paint(picture, lines)
    assert all((part == 99).all() for part in padding)
    if window is not None:
        assert 0 <= window[0] < window[1] <= height
        assert 0 <= window[2] < window[3] <= width
