"""A visitor's camera as a source."""

from __future__ import annotations

import threading

import av
import numpy as np
import pytest

from stream.errors import UsageError
from stream.serve.visitor import VisitorSource
from stream.settings.options import InputOptions
from tests.run.parts import until


def picture(value: int, width: int = 64, height: int = 48) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(
        np.full((height * 3 // 2, width), value, np.uint8), format="yuv420p"
    )


def test_it_gives_the_newest_and_counts_what_was_not_taken():
    source = VisitorSource(picture(1), 10.0)
    frames = iter(source)
    first = next(frames)
    assert (first.pts, bytes(first.image.planes[0])[0]) == (0, 1)
    for place in range(2, 5):
        source.put(picture(place), 10.0 + place / 10)
    second = next(frames)
    assert bytes(second.image.planes[0])[0] == 4 and second.pts_seconds == pytest.approx(0.4)
    assert source.dropped == 2 and second.captured_at == 10.4
    source.put(picture(9), 10.4)
    assert next(frames).pts == second.pts + 1, "time never stands still or runs back"
    source.close()
    assert list(frames) == []


def test_its_size_may_change_but_not_beyond_a_camera_s():
    source = VisitorSource(picture(1), 0.0)
    frames = iter(source)
    next(frames)
    source.put(picture(2, 128, 96), 1.0)
    assert next(frames).image.width == 128
    source.put(picture(3, 4096, 2304), 2.0)
    assert source.corrupt == 1
    source.close()


def test_closing_ends_who_waits():
    source = VisitorSource(picture(1), 0.0)
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(one.index for one in source))
    thread.start()
    until(lambda: seen == [0] or len(source._queue) == 0)
    source.close()
    source.close()
    source.put(picture(2), 1.0)
    thread.join(60)
    assert not thread.is_alive() and seen == [0]


def test_nobody_opens_one_by_a_word():
    with pytest.raises(UsageError):
        VisitorSource.from_target("camera", InputOptions())
