"""Pictures encoded for browsers, which watch rather than talk; aiortc packs what comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any, ClassVar

import av
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

_BITS_PER_PIXEL = 0.25
"""Of each frame at 30 a second: 2.3 Mbit/s for 640x480."""
_LEAST, _MOST = 300_000, 8_000_000
_LARGE = 1280 * 720
"""Pixels above which one thread may not be done before the next picture comes."""
_NOTICED = 0.2
"""By how much of itself the rate has to change for the encoder to begin anew."""
_CALM = 10 * 90_000
"""Ticks after which an encoder that began anew may do so again for a higher rate: what a browser
says it can take goes up and down with what comes, and each time costs a whole picture."""
_WHOLE_EVERY = 3000
"""Pictures; a whole one comes before when a browser asks for it."""


_USUAL_STEP = 3000.0
"""Ticks from a picture to the next at 30 a second."""


class ForWatching(ABC):
    """Encodes for browsers, at the rate that one can take or that suits the size.

    aiortc's own encoders begin at half a megabit, at which edges of masks fall to pieces.
    """

    MIME: ClassVar[str]
    _threads: ClassVar[int] = 1
    """For large pictures."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.whole = False
        """Whether the last picture can be begun with."""
        self._context: VideoCodecContext | None = None
        self._asked: int | None = None
        self._rate = 0
        self._last_pts: int | None = None
        self._ticks = self._made_at = 0
        self._step = self._made_for = _USUAL_STEP

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
        if self._last_pts is not None and frame.time_base == VIDEO_TIME_BASE:
            step = min(max(frame.pts - self._last_pts, _USUAL_STEP / 2), 30 * _USUAL_STEP)
            self._step += (step - self._step) / 8
        self._last_pts = frame.pts
        self._ticks = convert_timebase(frame.pts, frame.time_base, VIDEO_TIME_BASE)
        context = self._context_for(frame)
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        packets = context.encode(frame)
        self.whole = any(one.is_keyframe for one in packets)
        data = b"".join(map(bytes, packets))
        return self._packed(data), self._ticks

    def _context_for(self, frame: av.VideoFrame) -> VideoCodecContext:
        context, size = self._context, (frame.width, frame.height)
        suits = int(max(_LEAST, min(_BITS_PER_PIXEL * 30 * size[0] * size[1], _MOST)))
        # A browser that has seen little says little; more than suits the size is never needed.
        wanted = suits if self._asked is None else min(self._asked, 2 * suits)
        same = (
            context is not None
            and (context.width, context.height) == size
            and self._made_for / 2 < self._step < 2 * self._made_for
        )
        change = (wanted - self._rate) / max(self._rate, 1)
        much = change < -_NOTICED or (change > _NOTICED and self._ticks - self._made_at >= _CALM)
        if context is not None and same and not much:
            return context
        context = self._make(wanted)
        context.width, context.height = size
        context.pix_fmt, context.time_base = "yuv420p", VIDEO_TIME_BASE
        # By the clock alone x264 would take it for 90,000 a second, each with next to no bits.
        context.framerate = Fraction(round(1 / (self._step * VIDEO_TIME_BASE)) or 1)
        context.thread_count = self._threads if size[0] * size[1] > _LARGE else 1
        context.gop_size = _WHOLE_EVERY
        self._context, self._rate, self._made_for = context, wanted, self._step
        self._made_at = self._ticks
        return context

    @abstractmethod
    def _make(self, rate: int) -> VideoCodecContext:
        """The encoder at so many bits per second; size and clock are set by who calls."""

    @abstractmethod
    def _packed(self, data: bytes) -> list[bytes]:
        """What goes into packets of a picture's data."""


class Vp8(ForWatching, Vp8Encoder):
    """VP8, which every browser takes.

    aiortc's own takes out noise, which masks have none of; without that and with less searching a
    frame costs two thirds.
    """

    MIME: ClassVar[str] = "video/VP8"
    # libvpx's threads wait for each other without sleeping: on a machine that has other things to
    # do, two took 120 ms of processor time for a picture that one has done in 8.

    def _make(self, rate: int) -> VideoCodecContext:
        context = _encoder("libvpx")
        context.bit_rate = rate
        context.qmin, context.qmax = 2, 56
        context.options = {
            "deadline": "realtime",
            "cpu-used": "-12",
            "lag-in-frames": "0",
            "minrate": str(rate),
            "maxrate": str(rate),
            "bufsize": str(rate // 2),
            "static-thresh": "100",
        }
        return context

    def _packed(self, data: bytes) -> list[bytes]:
        payloads: list[bytes] = self._packetize(data, self.picture_id)
        self.picture_id = (self.picture_id + 1) % 2**15
        return payloads


class H264(ForWatching, H264Encoder):
    """H.264 in its baseline profile: two thirds of VP8's processor time at the same rate.

    Pictures that stand still cost few bits: the rate is a limit, and quality is what is kept.
    """

    MIME: ClassVar[str] = "video/H264"
    _threads: ClassVar[int] = 2

    def _make(self, rate: int) -> VideoCodecContext:
        context = _encoder("libx264")
        # What `video_of` gives: BT.601, limited range.
        context.color_primaries = context.color_trc = context.colorspace = 6
        context.color_range = 1
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": "24",
            "maxrate": str(rate),
            "bufsize": str(rate // 2),
            # A browser that asks for a whole picture can begin with none of another kind.
            "forced-idr": "1",
            "x264-params": "deblock=0,0",
        }
        return context

    def _packed(self, data: bytes) -> list[bytes]:
        return self._packetize(self._split_bitstream(data))


def _encoder(name: str) -> VideoCodecContext:
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext)
    return context


def kind_for(mime: str) -> type[ForWatching] | None:
    """What encodes for a codec that was agreed on; None leaves it to aiortc."""
    kinds: tuple[type[ForWatching], ...] = (H264, Vp8)
    return next((kind for kind in kinds if mime == kind.MIME), None)
