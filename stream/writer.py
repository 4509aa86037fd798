"""Writing a video, picture by picture."""

from __future__ import annotations

import logging
import math
import re
import threading
import weakref
from fractions import Fraction
from numbers import Rational, Real
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self, Unpack

import numpy as np
from numpy.typing import NDArray

from stream.attributes import OnlyNamed
from stream.errors import SinkError, UsageError, check_path
from stream.frame import Frame, VideoInfo
from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import video_picture
from stream.pictures.rgb import check_rgb
from stream.plans.asked import grouped, in_python, with_keywords
from stream.run.opening import without_lost
from stream.settings.groups import leaves, shown, unknown
from stream.settings.keywords import WriterKeywords, spelled_out
from stream.settings.options import OutputOptions
from stream.sinks.video import VideoSink
from stream.sources.base import check_time
from stream.system.one_process import Home, stays
from stream.wording.words import counted

_log = logging.getLogger(__name__)

_SLOWEST = 0.001
"""Pictures per second from which on a rate is one."""
_FULL_RANGE = {1: False, 2: True}


def _finish(sink: VideoSink, home: Home) -> None:
    if home.here:
        sink.close()


_TEXT = re.compile(r"(\d{1,9}(?:\.\d{1,9}|/[1-9]\d{0,8})?)\s*(?:fps)?", re.IGNORECASE)


def _meant(rate: object) -> str:
    """What to say of a rate that is written as a text, or is a Decimal; "" of any other."""
    found = None if isinstance(rate, Real) else _TEXT.fullmatch(str(rate).strip())
    meant = Fraction(found[1]) if found else Fraction(0)
    if meant < _SLOWEST:
        return ""
    return f"; did you mean {meant if meant.denominator == 1 else repr(meant)}?"


class VideoWriter(OnlyNamed):
    """Writes frames, or arrays, into a video file that plays whatever happens.

        with stream.VideoWriter("out.mp4", rate=25) as writer:
            writer.write(rgb)

    Args:
        path: the file; its ending chooses the container.
        rate: pictures per second, for arrays; frames bring their own times.
        options: `codec`, `crf`, `preset`, `pixel_format`, `overwrite`, as on the command line.

    Where an error leaves the `with`, all pictures that were written are in the file; with
    `overwrite` an earlier file stays, and they are beside it (out.partial.mp4). A writer that
    nobody closed finishes its file when nothing refers to it any more, or at the program's end.
    Threads may share one; their pictures follow each other as they come.

    Raises:
        StreamError: the file cannot be written.
    """

    path: Path
    frames: int

    @spelled_out(WriterKeywords)
    @in_python()
    def __init__(
        self, path: str | Path, rate: float | Fraction = 25, **options: Unpack[WriterKeywords]
    ) -> None:
        check_path(path, "the video")
        self.path = Path(path)
        number = isinstance(rate, Real) and not isinstance(rate, bool)
        if not number or not _SLOWEST <= rate < math.inf:
            raise UsageError(
                f"the rate is pictures per second, {_SLOWEST:g} or more, not "
                f"{shown(rate)}{_meant(rate)}"
            )
        exact = Fraction(rate) if isinstance(rate, Rational) else Fraction(float(rate))
        self._rate = exact.limit_denominator(1001)
        rest: dict[str, object] = {**options}
        self._options = grouped(OutputOptions, rest)
        if rest:
            raise unknown("option", next(iter(rest)), ["rate", *leaves(OutputOptions)])
        self._check_ending()
        VideoSink.check(str(path), self._options)
        self._sink: VideoSink | None = None
        self._said: list[str] = []
        self._closed = False
        self._home = Home()
        self._forgotten: weakref.finalize[..., VideoWriter] | None = None
        self._size: tuple[int, int] | None = None
        self._last: Fraction | None = None
        self._turn = threading.RLock()
        self.frames = 0

    def __repr__(self) -> str:
        return f"VideoWriter({str(self.path)!r}, {counted(self.frames, 'frame')})"

    @property
    def remarks(self) -> list[str]:
        """What the file could not keep of what it was given, a sentence each."""
        said = (*self._said, *(() if self._sink is None else self._sink.remarks))
        return [with_keywords(one) for one in said]

    def write(self, picture: NDArray[np.uint8] | Frame) -> None:
        """Writes the next picture.

        Args:
            picture: uint8 RGB [H, W, 3], of the first picture's size, or RGB and opacity
                [H, W, 4], as `draw` gives with the look cutout; or a frame, which is written at its
                own time, in its own format. Whether the first has opacity decides for all.

        Raises:
            ValueError: the array has another type or shape, or another size than the first.
            UsageError: this file does not hold transparency, is finished already, or was opened in
                another process; or a frame's time lies before that of the one before.
            SinkError: the file cannot be written any further.
        """
        self._home.check(str(self.path))
        with self._turn:
            self._write(picture)

    def _write(self, picture: NDArray[np.uint8] | Frame) -> None:
        if self._closed:
            raise UsageError(f"{self.path} is finished; write on into another VideoWriter")
        frame = picture if isinstance(picture, Frame) else self._frame(picture)
        check_time(frame, f"{self.path}: this is")
        now = frame.pts * frame.time_base
        if self._last is not None and now < self._last:
            raise UsageError(
                f"{self.path}: a picture at {float(now):.3f} s comes after one at "
                f"{float(self._last):.3f} s; frames keep their own times, so write those of "
                "another video as arrays, frame.rgb(), or into another VideoWriter"
            )
        if self._sink is None:
            info = self._info(frame)
            if isinstance(picture, Frame):
                self._size = frame.image.height, frame.image.width
                # A source's transparency is kept where that is possible.
                info, self._said = without_lost(VideoSink, str(self.path), info, self._options)
            elif info.alpha:
                self._check_opacity()
            self._sink = VideoSink.from_target(str(self.path), info, self._options)
            self._forgotten = weakref.finalize(self, _finish, self._sink, self._home)
        self._sink.write(frame)
        self._last = now
        self.frames += 1

    def close(self) -> None:
        """Finishes the file; safe to call twice."""
        if not self._home.here:  # the lock may be held by a thread that is not there
            self._closed = True
            return
        with self._turn:
            if not self._closed and self._sink is None:
                said = f"no picture came, so {self.path.name} was not written"
                self._said.append(said)
                _log.warning("%s", said)
            self._closed = True
            if self._forgotten is not None:
                # Where nobody forgets it, the same is done now, and once.
                self._forgotten()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or not self._home.here:
            self.close()
            return
        with self._turn:
            self._closed = True
            if self._sink is not None and self._forgotten is not None:
                self._forgotten.detach()
                try:
                    self._sink.leave()
                except SinkError as failed:
                    error.add_note(str(failed))

    def __reduce__(self) -> NoReturn:
        stays("a VideoWriter", "write in one, and hand pictures over to it")

    def _frame(self, rgb: NDArray[np.uint8]) -> Frame:
        alpha = None
        if isinstance(rgb, np.ndarray) and rgb.ndim == 3 and rgb.shape[2] == 4:
            rgb, alpha = rgb[..., :3], np.ascontiguousarray(rgb[..., 3])
        size = check_rgb(rgb, others="a stream.Frame").shape[:2]
        if self._size not in (None, size):
            raise ValueError(
                f"all pictures of a video have one size: the first has {self._size} (height, "
                f"width), this one {size}"
            )
        self._size = size[0], size[1]
        picture = video_picture(rgb)
        return Frame(picture, self.frames, self.frames, 1 / self._rate, duration=1, alpha=alpha)

    def _check_ending(self) -> None:
        if self.path.suffix.lower() not in VideoSink.endings:
            raise UsageError(
                f"{self.path} is no video: a VideoWriter writes {', '.join(VideoSink.endings)}; "
                "stream.process sends to addresses, and writes animated pictures (.webp, .gif, "
                ".apng) and one a frame (out/%06d.png)"
            )

    def _check_opacity(self) -> None:
        able = VideoSink.alpha_endings
        if self.path.suffix.lower() not in able:
            raise UsageError(
                f"{self.path} holds no transparency, and the picture has opacity, [H, W, 4]; "
                f"{', '.join(able)} do, or write picture[..., :3] to leave it out"
            )
        VideoSink.check_alpha(str(self.path), self._options)

    def _info(self, frame: Frame) -> VideoInfo:
        picture = frame.image
        return VideoInfo(
            name=self.path.name,
            width=picture.width,
            height=picture.height,
            pixel_format=picture.format.name,
            time_base=frame.time_base,
            rate=self._rate,
            alpha=frame.alpha is not None,
            colour=ColourTags(
                int(picture.color_primaries),
                int(picture.color_trc),
                int(picture.colorspace),
                _FULL_RANGE.get(int(picture.color_range)),
            ),
        )
