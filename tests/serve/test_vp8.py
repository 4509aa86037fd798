"""What browsers are sent."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.vpx import Vp8Decoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame

from stream.serve.vp8 import Vp8
from tests.scenes import texture


def pictures(count: int, width: int = 160, height: int = 120):
    ground = texture(height, width + count, 1)
    for place in range(count):
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        planes[:height] = ground[:, place : place + width]
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        picture.pts, picture.time_base = place * 3000, Fraction(1, 90_000)
        yield picture


def decoded(decoder: Vp8Decoder, payloads: list[bytes], at: int):
    data = b"".join(vp8_depayload(one) for one in payloads)
    return decoder.decode(JitterFrame(data=data, timestamp=at))


def test_pictures_come_back_in_time_and_nearly_as_they_were():
    encoder, decoder = Vp8(), Vp8Decoder()
    for picture in pictures(20):
        payloads, at = encoder.encode(picture)
        assert at == picture.pts and all(len(one) <= 1300 for one in payloads)
        (found,) = decoded(decoder, payloads, at)
        difference = found.to_ndarray()[:120].astype(int) - picture.to_ndarray()[:120]
        assert np.abs(difference).mean() < 6


def is_whole(payloads: list[bytes]) -> bool:
    """Whether it is a key frame, by the first bit of VP8's own header."""
    return not vp8_depayload(payloads[0])[0] & 1


def test_a_whole_picture_comes_first_and_when_it_is_asked_for():
    encoder = Vp8()
    whole = [
        is_whole(encoder.encode(picture, force_keyframe=place == 5)[0])
        for place, picture in enumerate(pictures(8))
    ]
    assert whole == [True, False, False, False, False, True, False, False]


def test_the_rate_follows_what_the_browser_can_take_and_the_picture_s_size():
    encoder = Vp8()
    first, *others = pictures(60, 320, 240)
    encoder.encode(first)
    assert encoder.target_bitrate == pytest.approx(0.25 * 30 * 320 * 240, rel=0.01)
    encoder.target_bitrate = 10_000
    sizes = [sum(map(len, encoder.encode(one)[0])) for one in others]
    assert encoder.target_bitrate == 300_000
    assert 8 * sum(sizes[29:]) < 2 * 300_000, "the last second"
    encoder.target_bitrate = 10**9
    assert encoder.target_bitrate == 8_000_000
    before = encoder._context
    encoder.encode(next(iter(pictures(1, 320, 240))))
    assert encoder._context is not before
    assert encoder._rate == 2 * int(0.25 * 30 * 320 * 240)


def test_a_picture_of_another_size_begins_anew():
    encoder = Vp8()
    for size in ((160, 120), (320, 240), (160, 120)):
        (picture,) = pictures(1, *size)
        payloads, _ = encoder.encode(picture)
        (found,) = decoded(Vp8Decoder(), payloads, 0)
        assert (found.width, found.height) == size and is_whole(payloads)
