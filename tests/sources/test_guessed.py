"""Times of decoding that are stored as if they were those of showing."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av

from stream.sources._guessed import DecodeTimes


def packet(pts: int, dts: int | None) -> av.Packet:
    made = av.Packet(b"picture")
    made.pts, made.dts, made.time_base = pts, dts, Fraction(1, 25)
    return made


def test_behind_a_jump_in_mxf_the_pictures_that_are_not_decoded_have_their_times() -> None:
    """An open group's key frame is shown behind one that is not decoded, by libx264 in MXF."""
    video: Any = SimpleNamespace(
        codec_context=SimpleNamespace(reorder_depth=1), average_rate=Fraction(25)
    )
    container: Any = SimpleNamespace(format=SimpleNamespace(name="mxf"))
    times = DecodeTimes(container, video)
    times.seek()
    shown = []
    # As FFmpeg 8 hands them out, with its guess of when they are decoded.
    for number, (pts, dts) in enumerate([(26, None), (27, 27), (28, 27), (29, 28), (30, 29)]):
        read = packet(pts, dts)
        times.note(read)
        if number >= 2:  # it comes out with the packet behind it, as its decoding time
            picture = av.VideoFrame(16, 16, "gray")
            picture.dts = read.dts
            shown.append(times(picture))
    assert shown == [27, 28, 29]
