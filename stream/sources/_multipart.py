"""Motion JPEG over HTTP, taken apart by the pictures' own marks.

Cameras put their pictures into parts as they like: with or without a type, a length, or a line end
before the next part. FFmpeg waits for ever for the end of a part that has neither length nor line
end, and where it looks for the marks itself, it hands on a picture when the next one begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from stream.sources._answers import check_video

_BEGIN = b"\xff\xd8\xff"
_MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)
"""What is neither a byte of the picture (ITU-T T.81, B.1.1.5), nor a restart, nor filling."""
_START, _END, _ALONE = 0xD8, 0xD9, 0x01

_BEFORE = 1 << 16
"""Bytes before the first picture, after which it is none that comes."""
_LARGEST = 1 << 26

_AT_ONCE = f"{1 << 16}"


class Pictures:
    """Cuts whole JPEG files out of bytes that come bit by bit.

    A segment's length says how far it reaches, so that the end of a small picture within it is not
    taken for the large one's.

    Attributes:
        found: whether one has begun.
        passed: bytes that went by before the first.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        self._within = self.found = False
        self.passed = 0

    def take(self, data: bytes) -> Iterator[bytes]:
        """Takes what came; gives every picture that is complete by that."""
        self._data += data
        while self._begins() if not self._within else True:
            end = self._next_end()
            if end is None:
                return
            picture = bytes(self._data[:end])
            del self._data[:end]
            self._within = False
            yield picture

    def rest(self) -> bytes:
        """A picture that came in part."""
        return bytes(self._data) if self._within else b""

    def _begins(self) -> bool:
        start = self._data.find(_BEGIN)
        within = start >= 0
        skipped = start if within else max(0, len(self._data) - len(_BEGIN) + 1)
        del self._data[:skipped]
        self.passed += 0 if self.found else skipped
        self._within, self._at = within, 2
        self.found |= within
        return within

    def _next_end(self) -> int | None:
        """Where the picture ends; None where that has not come."""
        while True:
            mark = _MARK.search(self._data, self._at)
            if mark is None:
                self._at = max(self._at, len(self._data) - 1)
                if len(self._data) > _LARGEST:
                    return len(self._data)
                return None
            kind = self._data[mark.start() + 1]
            if kind == _END:
                return mark.end()
            if kind == _START:
                return mark.start()  # what came before has no end
            if kind == _ALONE:
                self._at = mark.end()
                continue
            length = self._data[mark.end() : mark.end() + 2]
            if len(length) < 2:
                self._at = mark.start()
                return None
            self._at = mark.end() + int.from_bytes(length, "big")


class _Parts:
    """A file in which every picture's part says how long it is, for FFmpeg to read.

    Args:
        raw: the connection, opened for its bytes.

    Raises:
        AnswerError: what comes is no video.
    """

    def __init__(self, raw: InputContainer) -> None:
        self._raw = raw
        self._ready = bytearray()
        came = (bytes(packet) for packet in raw.demux() if packet.size)
        first = next(came, b"")
        check_video(first)
        self._pictures = _cut(chain([first], came))

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        if not self._ready:
            picture = next(self._pictures, b"")
            if picture:
                head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n"
                self._ready += f"{head}\r\n".encode() + picture + b"\r\n"
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def close(self) -> None:
        """Ends the connection."""
        self._raw.close()


def _cut(came: Iterable[bytes]) -> Iterator[bytes]:
    pictures = Pictures()
    for data in came:
        yield from pictures.take(data)
        if not pictures.found and pictures.passed > _BEFORE:
            return
    if pictures.rest():
        yield pictures.rest()


def open_pictures(
    address: str,
    options: dict[str, str],
    opening: float,
    reading: float,
    hwaccel: HWAccel | None = None,
) -> InputContainer:
    """Opens an address of motion JPEG, whatever its parts are like; `let_go` closes it.

    Args:
        address: with its user and password.
        options: FFmpeg's.
        opening: seconds for the connection.
        reading: seconds between two packets.
        hwaccel: the device that decodes; None for the CPU.

    Raises:
        av.FFmpegError: it cannot be opened.
        AnswerError: what comes is a page or the like.
    """
    asked = {**options, "raw_packet_size": _AT_ONCE}
    raw = av.open(address, format="data", options=asked, timeout=(opening, reading))
    try:
        # All is known of the first picture.
        soon = {"analyzeduration": "0", "fpsprobesize": "0"}
        parts = av.open(_Parts(raw), "r", format="mpjpeg", options=soon, hwaccel=hwaccel)
    except BaseException:
        raw.close()
        raise
    return parts


def let_go(container: InputContainer) -> None:
    """Closes a container, and the connection that it is read from."""
    container.close()
    read = getattr(container.file, "file", None)
    if isinstance(read, _Parts):
        read.close()
