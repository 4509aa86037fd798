"""Frames as viewers get them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from stream.frame import Frame
from stream.instances import Instances
from stream.serve.pictures import (
    Shared,
    Viewer,
    fitted_size,
    jpeg_of,
    png_of,
    video_as_it_is,
    video_of,
)
from stream.sinks.browser import BrowserSink, Slot

ORANGE = (255, 128, 0)


def picture(colour=ORANGE, size=(160, 120), form="yuv420p", matrix=6, full=False) -> Frame:
    rgb = np.full((size[1], size[0], 3), colour, np.uint8)
    image = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format=form, dst_colorspace={1: 1, 6: 5}[matrix], dst_color_range=2 if full else 1
    )
    image.colorspace, image.color_range = matrix, 2 if full else 1
    frame = Frame(image, 0, 0, Fraction(1, 30))
    frame.instances = Instances.empty((), (size[1], size[0]))
    return frame


def colour_in_a_browser(image: av.VideoFrame) -> np.ndarray:
    """What a browser makes of VP8's samples: BT.601, limited range."""
    assert image.format.name == "yuv420p"
    planes = [np.asarray(plane, np.uint8).reshape(plane.height, -1) for plane in image.planes]
    luma, blue, red = (float(plane[plane.shape[0] // 2, 4]) for plane in planes)
    luma, blue, red = (luma - 16) * 255 / 219, (blue - 128) * 255 / 224, (red - 128) * 255 / 224
    return np.array([luma + 1.402 * red, luma - 0.344 * blue - 0.714 * red, luma + 1.772 * blue])


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p10le", "gray"])
@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_right_in_a_browser(form, matrix, full):
    wanted = np.array((128, 128, 128) if form == "gray" else ORANGE)
    frame = picture(wanted, form=form, matrix=matrix, full=full)
    assert colour_in_a_browser(video_of(frame, 720)) == pytest.approx(wanted, abs=5)


def test_what_is_right_already_is_not_copied_and_the_frame_is_left_alone():
    frame = picture()
    made = video_of(frame, 720)
    assert made.planes[0].buffer_ptr == frame.image.planes[0].buffer_ptr
    other = picture(matrix=1, full=True)
    video_of(other, 720)
    assert (int(other.image.colorspace), int(other.image.color_range)) == (1, 2)


@pytest.mark.parametrize(
    ("size", "most", "wanted"),
    [((1920, 1080), 720, (1280, 720)), ((640, 480), 720, (640, 480)), ((641, 481), 720, (640, 480)),
     ((1080, 1920), 720, (720, 1280)), ((20, 2000), 720, (20, 2000)),
     ((12000, 600), 720, (2880, 144)), ((1, 9000), 720, (2, 2880))],
)  # fmt: skip
def test_sizes_are_even_and_no_larger_than_allowed(size, most, wanted):
    assert fitted_size(*size, most) == wanted


@pytest.mark.parametrize(
    ("size", "shape", "wanted"),
    [((720, 576), Fraction(64, 45), (1024, 576)), ((720, 480), Fraction(8, 9), (640, 480)),
     ((1440, 1080), Fraction(4, 3), (1280, 720))],
)  # fmt: skip
def test_a_picture_whose_samples_are_not_square_looks_as_it_should(size, shape, wanted):
    frame = picture(size=size)
    assert video_as_it_is(frame, 720, shape) is None
    made = video_of(frame, 720, shape)
    assert (made.width, made.height) == wanted
    small = cv2.imdecode(np.frombuffer(jpeg_of(frame, 720, shape), np.uint8), cv2.IMREAD_COLOR)
    assert small.shape[:2] == wanted[::-1]
    whole = cv2.imdecode(np.frombuffer(png_of(frame, shape), np.uint8), cv2.IMREAD_COLOR)
    assert whole.shape[:2] == (size[1], round(size[0] * shape))


def test_stills_are_what_the_frame_was():
    frame = picture(size=(320, 240))
    whole = cv2.imdecode(np.frombuffer(png_of(frame), np.uint8), cv2.IMREAD_COLOR)
    assert whole.shape == (240, 320, 3)
    assert whole[100, 100, ::-1] == pytest.approx(np.array(ORANGE), abs=3)
    small = cv2.imdecode(np.frombuffer(jpeg_of(frame, 120), np.uint8), cv2.IMREAD_COLOR)
    assert small.shape == (120, 160, 3)
    assert small[60, 60, ::-1] == pytest.approx(np.array(ORANGE), abs=6)


def test_it_is_made_once_for_all_who_ask():
    made = []

    async def ask() -> None:
        with ThreadPoolExecutor(4) as executor:
            shared = Shared(lambda frame: made.append(frame) or len(made), executor)
            first, second = picture(), picture()
            found = await asyncio.gather(*(shared.of(first) for _ in range(20)))
            assert found == [1] * 20
            assert await shared.of(second) == 2
            shared.forget()
            assert await shared.of(second) == 3

    asyncio.run(ask())
    assert len(made) == 3


def test_what_needs_no_making_is_handed_to_no_thread():
    made = []

    async def ask() -> None:
        with ThreadPoolExecutor(1) as executor:
            shared = Shared(
                lambda frame: made.append(frame) or video_of(frame, 720),
                executor,
                lambda frame: video_as_it_is(frame, 720),
            )
            plain = picture()
            assert await shared.of(plain) is plain.image and not made
            other = picture(matrix=1)
            found = await asyncio.gather(shared.of(other), shared.of(other))
            assert found[0] is found[1] and made == [other]

    asyncio.run(ask())


def test_a_viewer_who_gives_up_takes_nothing_from_the_others():
    async def ask() -> None:
        with ThreadPoolExecutor(1) as executor:
            gate = asyncio.Event()
            loop = asyncio.get_running_loop()

            def make(frame: Frame) -> int:
                asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(60)
                return 1

            shared = Shared(make, executor)
            frame = picture()
            impatient, patient = (asyncio.ensure_future(shared.of(frame)) for _ in range(2))
            await asyncio.sleep(0)
            impatient.cancel()
            gate.set()
            assert await patient == 1

    asyncio.run(ask())


def test_who_comes_late_sees_the_newest_at_once_and_who_is_slow_misses_some():
    async def look() -> None:
        slot = Slot()
        first = Viewer(slot)
        frames = [picture() for _ in range(5)]
        slot.put(frames[0])
        assert await first.next() is frames[0]
        slot.put(frames[1])
        late = Viewer(slot)
        assert await asyncio.wait_for(late.next(), 60) is frames[1]
        for frame in frames[2:]:
            slot.put(frame)
        assert await first.next() is frames[4], "of those in between it has none"
        waiting = asyncio.ensure_future(first.next())
        await asyncio.sleep(0)
        first.close()
        assert await asyncio.wait_for(waiting, 60) is None
        assert slot.viewers == 1 and slot.frame is frames[4]
        late.close()
        late.close()
        assert slot.viewers == 0 and slot.frame is None, "with the last viewer goes the picture"

    asyncio.run(look())


def test_nothing_is_wanted_while_nobody_looks_and_nothing_kept():
    sink = BrowserSink()
    assert not sink.wanted
    sink.write(picture())
    assert sink.slot.frame is None
    told = []
    sink.slot.watch(1, lambda: told.append(1))
    assert sink.wanted
    frame = picture()
    sink.write(frame)
    assert sink.slot.frame is frame and told == [1]


def test_a_frame_that_nothing_was_asked_of_is_not_shown():
    """A look that hides people would show them."""
    sink = BrowserSink()
    sink.slot.watch(1, lambda: None)
    frame = picture()
    frame.instances = None
    sink.write(frame)
    assert sink.slot.frame is None
