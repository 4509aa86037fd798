"""Video files: every picture with its exact time, and all that goes with them."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av

from stream.errors import SourceError
from stream.frame import Frame, Item, Passthrough
from stream.settings.options import InputOptions
from stream.sources._clear_track import with_opacity
from stream.sources._container import choose_copied, choose_video, covers_of, open_container
from stream.sources._cropping import crop_of
from stream.sources._decoded import Decoded
from stream.sources._description import Request, describe, stated_rate
from stream.sources._ending import Reached, cut_short, last_length
from stream.sources._hardware import NONE, Hardware
from stream.sources._one_clock import runs_through
from stream.sources._pixels import Upright, lost_with
from stream.sources._placing import Placing
from stream.sources._reader import Reader, opened
from stream.sources._services import broadcast, joined, tags_of
from stream.sources._timeline import Timeline, starts_anywhere
from stream.sources._transparency import ClearParts
from stream.sources.base import Source, Target
from stream.types import AnyPacket

# How far before the wanted time decoding starts, in seconds, until a keyframe is found that lies
# before it; some containers seek past the target.
_PREROLLS = (0, 5, 30)
# A file whose clock begins later than this, in seconds, has one that was not set for it. A film
# that begins up to a minute late may be meant so.
_LATE = 60


@dataclass(slots=True)
class _Picture:
    """A decoded picture that waits for the next one to know how long it lasts."""

    decoded: Decoded
    pts: int
    nominal: int
    certain: bool


class FileSource(Source):
    """The pictures of a video file in presentation order, upright, in planar YUV.

    Times are those of the file, unless its clock begins anywhere (MPEG-TS and the like, and files
    whose clock begins over a minute late: then the file starts at 0) or `start` is given (then
    that moment becomes 0); every stream is moved by the same amount. Where the clock starts over
    or jumps, as in joined recordings, it is made continuous. A frame's duration reaches to the next
    frame, the last one's to the end that the file declares. Pixel formats other than planar YUV and
    grey are converted to the nearest planar YUV format; a rotation, a mirroring and a crop that the
    file asks for are carried out.
    """

    priority: ClassVar[int] = -10
    heeds: ClassVar[tuple[str, ...]] = ("hwaccel",)
    targets: ClassVar[str] = "a video file"

    def __init__(
        self,
        path: str | Path,
        *,
        start: float | Fraction | None = None,
        end: float | Fraction | None = None,
        limit: int | None = None,
        hwaccel: str = NONE,
    ) -> None:
        """Opens the file and decodes its first picture.

        Args:
            path: a local video file.
            start: seconds from the beginning of the file; the first picture is the first one at or
                after it.
            end: seconds from the beginning of the file; pictures at or after it are left out.
            limit: at most so many pictures.
            hwaccel: the kind of device that decodes, as FFmpeg names it, "auto" or "none". Where it
                cannot, the CPU does, and the remarks say why.

        Raises:
            SourceError: the file is missing, unreadable, has no video or nothing in it decodes.
            UsageError: start, end and limit select nothing, or FFmpeg knows no such device.
        """
        self.path = Path(path)
        self._request = Request.checked(start, end, limit)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._iterating = False
        self._delivered = 0
        self._aspect: Fraction | None = None
        self._seen = Fraction(0)
        self._remarks: list[str] = []
        self._hardware = Hardware.asked(hwaccel)
        self._container, self._part = opened(self.path)
        self._range = None if self._part is None else self._part.range
        if self._part is not None and self._hardware.name != NONE:
            self._hardware = self._hardware.given_up("the file is several recordings in one")
        plain = self._range is None and self._hardware.name == NONE
        while not self._opened(anew=not plain):
            self._hardware = self._hardware.given_up("nothing in the file could be decoded there")
            plain = False

    def _opened(self, *, anew: bool) -> bool:
        """Begins to read; False where a device was to decode and could not.

        Args:
            anew: the file is to be opened again, as it is to be read.
        """
        self._remarks = []
        if anew:
            self._reopen()
        try:
            self._open()
        except BaseException as error:
            self._container.close()
            if isinstance(error, SourceError) and self._hardware.name != NONE:
                return False
            raise
        return True

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is a path: a file that is there, or a name that only a file can have."""
        if isinstance(target, Path):
            return True
        if not isinstance(target, str) or not target or "://" in target:
            return False
        path = Path(target)
        return path.exists() or bool(path.suffix) or path.name != target

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> FileSource:
        """Opens a file, of which `cut` may ask for a part."""
        cut = options.cut
        return cls(
            Path(str(target)),
            start=cut.start,
            end=cut.end,
            limit=cut.limit,
            hwaccel=options.decoding.hwaccel,
        )

    def _open(self) -> None:
        programmes = broadcast(self._container, self.path, self._range)
        self._remarks += [*self._choose(), *joined(programmes)]
        container = self._container
        self._sound = {s.index for s in self._copied if s.type == "audio"}
        self._tick = Fraction(self._video.time_base or Fraction(1, 1000))
        rate = stated_rate(self._video)
        self._nominal = max(1, round(1 / (rate * self._tick))) if rate else 1
        anywhere = starts_anywhere(container)
        began = Fraction(container.start_time or 0, av.time_base)
        self._timeline = Timeline(anywhere=anywhere)
        if anywhere or began > _LATE or self._request.start is not None:
            if not anywhere and began > _LATE:
                self._remarks.append(
                    f"the file's clock begins at {float(began):g} s; the film begins at 0"
                )
            # To a whole tick, so that no picture moves against another.
            self._timeline.beginning = began
            zero = began + (self._request.start or 0)
            self._timeline.zero = round(zero / self._tick) * self._tick
            began -= self._timeline.zero
        self._placing = Placing(self._timeline, *self._wanted(began))
        first = (told := self._prime()).picture
        container = self._container
        self._hardware = self._hardware.handed(
            self._video.codec_context.codec.canonical_name, first.format.name
        )
        place = [s.index for s in container.streams.video].index(self._index)
        crop = crop_of(self.path, container.format.name, place)
        self._upright = Upright(first, crop, self._aspect)
        self._remarks += [*self._upright.remarks, *lost_with(first, self._video.metadata)]
        self._clear = ClearParts.of(self._video, self._upright.opacity(*told.clear))
        self.info = describe(
            os.fsencode(self.path.name).decode(errors="replace"),
            tags_of(container, programmes),
            container,
            self._video,
            self._copied,
            self._request,
            first,
            self._upright,
            self._reader.first_times,
            self._placing.cut,
            self._timeline.zero,
            covers_of(container, self._video, self.path, self._range),
            joined=not self._whole,
            alpha=self._clear.kept,
        )
        if self._request.start and self.info.duration == 0:
            raise self._request.missed(self.path)

    def _reopen(self) -> None:
        self._container.close()
        self._container = open_container(self.path, self._range, self._hardware.accelerator)

    def _choose(self) -> list[str]:
        """Prepares the streams of the open file; what is said of those that are left out."""
        self._video, left_out = choose_video(self._container, self.path)
        self._index = self._video.index
        self._copied = choose_copied(self._container, self._video)
        self._reader = Reader(
            self.path, self._container, self._video, self._copied, self._closing, self._part
        )
        return left_out

    def _wanted(self, began: Fraction) -> tuple[Fraction | None, Fraction | None]:
        """From when to when pictures are wanted, on the frames' clock, where the file `began`."""
        start, end = self._request.start, self._request.end
        return None if start is None else began + start, None if end is None else began + end

    def _prime(self) -> Decoded:
        """Reads until the first picture, from the last keyframe before the cut."""
        wanted, _ = self._placing.cut
        beginning = self._video.start_time or 0
        # What lies in a further recording is found by reading up to it.
        through = wanted is None or runs_through(self.path, self._container, self._video)
        self._whole = through and self._part is None
        direct = wanted is not None and self._whole
        for preroll in (*_PREROLLS, None) if direct else (None,):
            if direct and preroll is None:
                # Without an index FFmpeg may not find back to the first picture, or read on at all.
                self._reopen()
                self._choose()
            elif wanted is not None and preroll is not None:
                target = wanted + self._timeline.zero - preroll
                self._reader.seek(max(int(target // self._tick), beginning))
            self._pieces = with_opacity(self._reader.pieces(), self.path, self._container)
            self._primed: list[AnyPacket | Decoded] = []
            for piece in self._pieces:
                self._primed.append(piece)
                if not isinstance(piece, Decoded):
                    continue
                self._aspect, at = piece.aspect, piece.stored
                if wanted is None and self._reader.spread.leading and at is not None:
                    self._timeline.lead(at * self._tick)
                if (
                    wanted is None
                    or preroll is None
                    or (at is not None and at * self._tick - self._timeline.zero <= wanted)
                ):
                    return piece
                break
        raise self._reader.undecodable()

    @property
    def remarks(self) -> list[str]:
        """What is wrong with the file or not kept of it; complete when the iteration has ended."""
        own = (
            self._hardware.remarks,
            self._reader.remarks,
            self._upright.later_remarks,
            self._clear.remarks,
        )
        return [*self._remarks, *itertools.chain.from_iterable(own)]

    @property
    def corrupt(self) -> int:  # type: ignore[override]
        """How many packets or pictures could not be read or decoded so far."""
        return self._reader.corrupt + self._upright.mended

    def __iter__(self) -> Iterator[Item]:
        """Yields frames in presentation order, and packets of other streams as they were read.

        Raises:
            UsageError: no picture begins within what was asked for.
        """
        with self._lock:
            if self._iterating or self._closing.is_set():
                return
            self._iterating = True
        try:
            yield from self._items()
        finally:
            self._closing.set()
            self._container.close()

    def close(self) -> None:
        """Ends the iteration and closes the file; from any thread, safe to call twice."""
        with self._lock:
            self._closing.set()
            if not self._iterating:
                # An iteration under way closes the file itself: it may be reading from it.
                self._container.close()

    def _items(self) -> Iterator[Item]:
        held: deque[AnyPacket] = deque()
        waiting: _Picture | None = None
        previous: int | None = None
        pieces = itertools.chain(self._primed, self._pieces)
        self._primed = []
        for piece in pieces:
            if not isinstance(piece, Decoded):
                if self._request.limit is not None:
                    # Where the last picture ends is not known yet.
                    held.append(piece)
                elif (packet := self._placing(piece)) is not None:
                    yield Passthrough((packet,))
                continue
            length = piece.picture.duration
            nominal = length if length > 1 else self._nominal
            pts = self._timeline.picture(piece.stored, previous, nominal, self._tick, self._index)
            previous = pts
            start, end = self._placing.cut
            if start is not None and pts * self._tick < start:
                continue
            past = end is not None and pts * self._tick >= end
            if waiting is not None:
                yield self._frame(waiting, pts - waiting.pts)
                if past or self._delivered == self._request.limit:
                    yield from self._rest(held, pts * self._tick)
                    return
            elif past:
                break
            # One tick is what FFmpeg says where neither picture nor stream knows better.
            certain = nominal > 1 or waiting is None
            if not certain and waiting is not None:
                nominal = pts - waiting.pts
            yield from self._placing.release(held, pts * self._tick)
            waiting = _Picture(piece, pts, nominal, certain)
        if waiting is not None:
            yield self._frame(waiting, self._last_duration(waiting))
        elif not self._closing.is_set():
            raise self._request.between(self.path)
        yield from self._placing.release(held, None)
        self._remark_end()

    def _frame(self, waiting: _Picture, duration: int) -> Frame:
        picture = self._upright(waiting.decoded.picture, waiting.decoded.aspect)
        picture.pts, picture.time_base, picture.duration = waiting.pts, self._tick, duration
        frame = Frame(picture, self._delivered, waiting.pts, self._tick, duration)
        if self._clear.asked:
            self._clear.tell(frame, self._upright.opacity(*waiting.decoded.clear))
        frame.stages["decode"] = waiting.decoded.seconds + time.perf_counter() - frame.captured_at
        self._delivered += 1
        self._seen = max(self._seen, (waiting.pts + duration) * self._tick)
        return frame

    def _last_duration(self, last: _Picture) -> int:
        """The last picture lasts until the declared end, unless that is far from its own length."""
        if self._timeline.broken:
            return last.nominal
        begin = last.pts + round(self._timeline.zero / self._tick)
        how = {"exact": last.certain, "alone": not self._delivered}
        return last_length(self._container, self._video, begin, last.nominal, **how)

    def _rest(self, held: deque[AnyPacket], end: Fraction) -> Iterator[Item]:
        """The sound up to the end of the last picture, of which some may not have been read yet."""
        self._placing.end = end
        yield from self._placing.release(held, None)
        # What a further recording holds comes with its pictures.
        pieces = self._reader.packets() if self._whole else self._pieces
        yield from self._placing.rest(pieces, self._sound, self._index, self._tick)

    def _remark_end(self) -> None:
        if self._closing.is_set():
            return
        self._remarks += [*self._timeline.remarks, *self._reader.left_out]
        # Here nothing more came, which is no matter where it was not asked for.
        if self._delivered != self._request.limit and not self._timeline.broken:
            zero = self._timeline.zero
            reached = Reached(
                self._delivered + self.corrupt,
                self._seen + zero,
                max(self._seen, self._placing.reached) + zero,
            )
            counts = self._request.start is None
            sentence = cut_short(
                self.path.name, self._container, self._video, reached, counts=counts
            )
            self._remarks += [] if sentence is None else [sentence]
