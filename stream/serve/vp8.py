"""VP8 for pictures that are watched rather than talked over."""

from __future__ import annotations

from typing import ClassVar

import av
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

_BITS_PER_PIXEL = 0.25
"""Of each frame at 30 a second: 2.3 Mbit/s for 640x480."""
_LEAST, _MOST = 300_000, 8_000_000
_NOTICED = 0.2
"""By how much of itself the rate has to change for the encoder to begin anew."""


class Vp8(Vp8Encoder):
    """Encodes for one browser; aiortc packs what it gives and says what the browser can take.

    aiortc's own takes out noise, which masks have none of, and begins at half a megabit, at which
    edges of masks fall to pieces. Without that and with less searching a frame costs two thirds.
    """

    MIME: ClassVar[str] = "video/VP8"

    def __init__(self) -> None:
        super().__init__()
        self._context: VideoCodecContext | None = None
        self._asked: int | None = None
        self._rate = 0

    @property
    def target_bitrate(self) -> int:
        """Bits per second: what the browser said it can take, or what suits the size."""
        return self._rate if self._asked is None else self._asked

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._asked = max(_LEAST, min(bitrate, _MOST))

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encodes a picture; returns what goes into packets, and its time in 1/90,000 s."""
        assert isinstance(frame, av.VideoFrame)
        assert frame.pts is not None and frame.time_base is not None
        context = self._context_for(frame)
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        data = b"".join(map(bytes, context.encode(frame)))
        payloads = self._packetize(data, self.picture_id)
        self.picture_id = (self.picture_id + 1) % 2**15
        return payloads, convert_timebase(frame.pts, frame.time_base, VIDEO_TIME_BASE)

    def _context_for(self, frame: av.VideoFrame) -> VideoCodecContext:
        context, size = self._context, (frame.width, frame.height)
        suits = int(max(_LEAST, min(_BITS_PER_PIXEL * 30 * size[0] * size[1], _MOST)))
        # A browser that has seen little says little; more than suits the size is never needed.
        wanted = suits if self._asked is None else min(self._asked, 2 * suits)
        same = context is not None and (context.width, context.height) == size
        if context is not None and same and abs(wanted - self._rate) <= _NOTICED * self._rate:
            return context
        context = av.CodecContext.create("libvpx", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = size
        context.pix_fmt, context.bit_rate = "yuv420p", wanted
        context.time_base = VIDEO_TIME_BASE
        context.thread_count = 1 if size[0] * size[1] <= 640 * 480 else 2
        context.gop_size = 3000  # a whole picture comes when a browser asks for one
        context.qmin, context.qmax = 2, 56
        context.options = {
            "deadline": "realtime",
            "cpu-used": "-12",
            "lag-in-frames": "0",
            "minrate": str(wanted),
            "maxrate": str(wanted),
            "bufsize": str(wanted // 2),
            "static-thresh": "100",
        }
        self._context, self._rate = context, wanted
        return context
