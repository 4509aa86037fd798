import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing import Style, timing_lines
from stream.compositing.canvas import Canvas
from stream.compositing.layers.timing import Timing
from stream.compositing.mask_memory import Memory
from stream.instances import Instances
from tests.compositing.pictures import FORMATS, astronaut, memory, same, samples


def canvas_of(picture, figures, notes=()):
    nobody = Instances.empty((), (picture.height, picture.width))
    return Canvas(picture, nobody, Style(), Memory(), figures=tuple(figures), notes=tuple(notes))


def paint(picture, figures, notes=(), layer=None):
    """Paints the panel and says where it lies, if anywhere."""
    canvas = canvas_of(picture, figures, notes)
    layer = Timing(Style()) if layer is None else layer
    layer.plan(canvas)
    layer.paint(canvas)
    return canvas.occupied[0] if canvas.occupied else None


def area(window):
    return 0 if window is None else (window[1] - window[0]) * (window[3] - window[2])


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
    top, bottom, left, right = paint(picture, LINES)
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
    top, bottom, left, right = paint(picture, LINES)
    there = samples(picture)[0][top + 4 : bottom - 4, left + 4 : right - 4]
    assert there.max() == 255
    assert np.median(there) < 110
    assert (there > 200).mean() > 0.05


def test_values_are_flush_right_and_the_width_does_not_follow_every_digit():
    panel = Timing(Style())
    windows = {
        paint(astronaut(640, 480), timing_lines({"infer": seconds}, 29.97, "CPU"), layer=panel)
        for seconds in (0.0111, 0.0123, 0.0888, 0.0999)
    }
    assert len(windows) == 1


def test_the_same_lines_are_set_once():
    panel = Timing(Style())
    one, other = astronaut(640, 480), astronaut(640, 480)
    paint(one, LINES, layer=panel)
    paint(other, list(LINES), layer=panel)
    assert panel._panel._sprite.cache_info().misses == 1
    assert same(samples(one), samples(other))


def test_on_a_small_picture_the_first_lines_take_at_most_half():
    _, bottom, _, _ = paint(astronaut(176, 144), [*LINES, *LINES])
    assert bottom <= 80


LONG = timing_lines(
    {
        name: 0.0123
        for name in ("infer", "decode", "preprocess", "postprocess", "composite", "encode")
    }
    | {"end to end": 1.452},
    29.97,
    "OpenVINO CPU (bf16)",
)


@pytest.mark.parametrize(
    "size",
    [
        *[(64, 48), (176, 144), (340, 256), (320, 240), (480, 360), (640, 360), (360, 640)],
        *[(853, 480), (1280, 720), (1080, 1920), (2000, 64), (64, 2000)],
    ],
)
@pytest.mark.parametrize("notes", [(), ("reconnecting to the camera", "the 3rd try")])
def test_it_never_covers_more_than_a_twelfth_of_the_picture(size, notes):
    some = LINES, LONG, [*LONG, *LONG, *LONG], ["ab" * 50 + "\t9 ms"], []
    for pixels, figures in itertools.product(("yuv420p", "yuv410p", "gray10le"), some):
        window = paint(astronaut(*size, pixels), figures, notes)
        assert area(window) <= size[0] * size[1] / 12, (pixels, figures)
        if (figures or notes) and min(size) >= 240:
            assert window is not None, (pixels, figures)


def lines_of(picture_size, figures, notes=()):
    """The texts that are set into a picture of that size."""
    layer = Timing(Style())
    set_, row = [], layer._panel._row
    layer._panel._row = lambda line, *how: (set_.append(line), row(line, *how))[1]
    window = paint(astronaut(*picture_size), figures, notes, layer)
    letters = max(9, round(min(picture_size[1], 0.75 * picture_size[0]) / 40))
    rows = (window[1] - window[0]) // -(-13 * letters // 10)
    return set_[-rows:]


def test_from_640_by_360_on_the_table_is_whole():
    for size in ((640, 360), (1280, 720), (1920, 1080), (360, 640)):
        assert lines_of(size, LONG) == LONG


def test_in_smaller_pictures_it_is_one_line_with_inference_time_and_rate():
    assert lines_of((340, 256), LONG) == ["Inference time: 12.3 ms\t30.0 fps"]
    assert lines_of((176, 144), LONG) == ["12.3 ms\t30.0 fps"]
    assert lines_of((176, 144), LONG[1:]) == ["30.0 fps"]
    assert lines_of((340, 256), LONG[:1]) == ["Inference time: 12.3 ms"]
    assert paint(astronaut(80, 48), LONG) is None, "a figure was cut"


def test_a_note_stays_where_figures_give_way():
    assert lines_of((176, 144), LONG, ["gone"]) == ["12.3 ms", "gone"]
    assert lines_of((176, 144), LONG, ["camera is gone", "3rd try"]) == ["camera is gone"]
    assert lines_of((340, 256), LONG, ["gone"]) == ["Inference time: 12.3 ms\t30.0 fps", "gone"]
    assert lines_of((1280, 720), LONG * 3, ["gone"])[-1] == "gone"


def test_nothing_to_say_or_no_room_leaves_the_picture():
    for picture, lines in ((astronaut(), []), (astronaut(16, 16), LINES)):
        before, at = samples(picture), picture.planes[0].buffer_ptr
        assert paint(picture, lines) is None
        assert same(before, samples(picture))
        assert picture.planes[0].buffer_ptr == at


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
    window = paint(picture, lines)
    assert all((part == 99).all() for part in padding)
    if window is not None:
        assert 0 <= window[0] < window[1] <= height
        assert 0 <= window[2] < window[3] <= width
