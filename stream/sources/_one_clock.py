"""Whether the clock of a broadcast or a DVD's film runs through, as far as samples of it tell.

Where recordings lie one behind the other it begins anew or jumps (ISO/IEC 13818-1, 2.4.3). In such
files FFmpeg finds for a moment whatever has its time, and is wrong about how long they are.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from av.container import InputContainer
from av.video.stream import VideoStream

from stream.sources._joined import has_several_flv
from stream.sources._services import BROADCAST

_DISC = "mpeg"
"""FFmpeg's name of programme streams, such as .mpg and .vob."""
# Places that are looked at, bytes that are read at once, and at most up to the next time.
_PLACES, _READ, _FAR = 64, 1 << 16, 1 << 21
# Ticks in a second, and at which the clock goes back to 0 by itself.
_SECOND, _WRAP = 90_000, 1 << 33
# A step back of more is none of pictures out of order; one ahead of more, see `Timeline`.
_BACK, _AHEAD = _SECOND // 5, 10 * _SECOND
# Times as many as is usual lie between places where a step ahead is looked for.
_UNUSUAL = 4
# A PES packet's head up to its time (2.4.3.6), which MPEG-1 has otherwise (11172-1, 2.4.3.3).
_HEAD = (
    rb"\x00\x00\x01[\xe0-\xef]..(?:[\x80-\xbf][\x80-\xff].|\xff{0,16}(?:[\x40-\x7f].)?)"
    rb"([\x21-\x3f].[\x01-\xff].[\x01-\xff])"
)


def runs_through(path: Path, container: InputContainer, video: VideoStream) -> bool:
    """Whether the clock is one and the same throughout; True where that is not to be asked.

    Args:
        path: the file, of which some megabytes are read.
        container: the open file.
        video: its stream.
    """
    if not path.is_file():
        return True
    if container.format.name == "flv":
        return not has_several_flv(path)
    if container.format.name not in (BROADCAST, _DISC):
        return True
    with path.open("rb") as file:
        samples = _Samples(file, path.stat().st_size, container.format.name, video.id)
        return samples.run_through()


class _Samples:
    """Times of a file's video at some of its places.

    Args:
        file: to be read.
        size: its bytes.
        form: FFmpeg's name of its format.
        track: the video's number.
    """

    def __init__(self, file: BinaryIO, size: int, form: str, track: int) -> None:
        self._file, self._size = file, size
        if form == BROADCAST:
            # A packet that begins a picture, with or without a field between that and its head.
            begins = b"[%s]" % re.escape(bytes(top | track >> 8 for top in (0x40, 0x60)))
            head = rb"\x47" + begins + re.escape(bytes([track & 0xFF]))
            self._head = re.compile(
                head + rb"(?:[\x10-\x1f]|[\x30-\x3f].{1,80}?)" + _HEAD, re.DOTALL
            )
        else:
            self._head = re.compile(
                _HEAD.replace(rb"[\xe0-\xef]", b"\\x%02x" % (track & 0xFF)), re.DOTALL
            )

    def at(self, place: int) -> int | None:
        """The first time from a byte on, in ticks; None where none is near."""
        self._file.seek(place)
        data = b""
        while len(data) < _FAR and (more := self._file.read(_READ)):
            data += more
            if found := self._head.search(data):
                a, b, c, d, e = found[1]
                return (a & 0x0E) << 29 | b << 22 | (c & 0xFE) << 14 | d << 7 | e >> 1
        return None

    def run_through(self) -> bool:
        """Whether no time lies far behind or ahead of the one before it."""
        places = [self._size * number // _PLACES for number in range(_PLACES)]
        places.append(max(0, self._size - 4 * _READ))
        told = [(place, at) for place in sorted(set(places)) if (at := self.at(place)) is not None]
        steps = [_step(before, after) for (_, before), (_, after) in pairwise(told)]
        if any(step < -_BACK for step in steps):
            return False
        usual = sorted(steps)[len(steps) // 2] if steps else 0
        return not any(
            step > max(_AHEAD, _UNUSUAL * usual) and self._leaps(*before, *after)
            for step, (before, after) in zip(steps, pairwise(told), strict=True)
        )

    def _leaps(self, begin: int, early: int, end: int, late: int) -> bool:
        """Whether a step ahead is made at once, and is no long stretch of few bytes."""
        while _step(early, late) > _AHEAD:
            middle = (begin + end) // 2
            at = self.at(middle)
            if end - begin <= _READ or at is None:
                return True
            if _step(early, at) > _step(at, late):
                end, late = middle, at
            else:
                begin, early = middle, at
        return False


def _step(before: int, after: int) -> int:
    """From one time to another in ticks, negative where it lies behind."""
    return (after - before + _WRAP // 2) % _WRAP - _WRAP // 2
