"""Pictures that stand for a film, in containers that have a place for them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from stream.frame import Cover
from stream.sinks._containers import ContainerKind
from stream.sinks._destination import Destination
from stream.sinks._muxer import Muxer

_MIME = {
    "bmp": "image/bmp",
    "gif": "image/gif",
    "mjpeg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "webp": "image/webp",
}
_ENDINGS = {"mjpeg": "jpg", "tiff": "tif"}
# Apple's numbers of what a picture is stored in; there are none for others.
_IN_MP4 = {"mjpeg": 13, "png": 14, "bmp": 27}
# An empty list of Apple's tags: the kind of list, and a list of no entry.
_TAGS = b"\0\0\0\0\0\0\0\x21hdlr\0\0\0\0\0\0\0\0mdirappl\0\0\0\0\0\0\0\0\0" + b"\0\0\0\x08ilst"

# Within so many bytes a list of tags says of which kind it is.
_KIND = 40


class Covers:
    """Puts a film's covers into the output.

    Attributes:
        remarks: which are left out, a sentence each.
    """

    def __init__(
        self, muxer: Muxer, covers: Sequence[Cover], kind: ContainerKind, ending: str
    ) -> None:
        """Adds the covers, before the output is begun.

        Args:
            muxer: the output.
            covers: the pictures.
            kind: what kind of container it is.
            ending: of the output's name, for messages.
        """
        self.remarks: list[str] = []
        self._waiting: list[Cover] = []
        for number, cover in enumerate(covers, 1):
            why = f"{ending} does not hold it"
            if kind.format == "matroska" and cover.codec in _MIME:
                ending_of = _ENDINGS.get(cover.codec, cover.codec)
                # Players look for a cover by this name.
                name = cover.name or f"cover{'' if number == 1 else number}.{ending_of}"
                muxer.container.add_attachment(name, _MIME[cover.codec], cover.data)
                continue
            if kind.by_decode_time and cover.codec in _IN_MP4:
                if muxer.destination.seekable():
                    self._waiting.append(cover)
                    continue
                why += " where it is written into a pipe"
            if cover.codec in _MIME:
                why += "; .mkv does"
            known = cover.codec or "of unknown kind"
            self.remarks.append(f"a cover picture ({known}) is left out: {why}")

    def finish(self, destination: Destination) -> None:
        """Puts them into an MP4 that is complete.

        FFmpeg's muxer would do it, but has a broken track besides for each where it writes in
        fragments.
        """
        if self._waiting:
            _into_mp4(destination, self._waiting)


def _into_mp4(destination: Destination, covers: Sequence[Cover]) -> None:
    """Writes the head of an MP4 anew, with covers, where it lies behind everything else.

    The old one stays until the new one is there, so that the file plays whatever happens.
    """
    with destination.working.open("rb") as file:
        places = {kind: (begin, end) for kind, begin, end in _boxes_of(file)}
        end_of_file = file.seek(0, 2)
        begin, end = places.get(b"moov", (0, 0))
        if end != end_of_file:
            raise ValueError("the MP4's head is not at its end")
        file.seek(begin)
        head = file.read(end - begin)
    data = b"".join(
        _box(b"data", struct.pack(">II", _IN_MP4[cover.codec], 0) + cover.data) for cover in covers
    )
    destination.seek(end_of_file)
    destination.write(_with(head, (b"udta", b"meta", b"ilst"), _box(b"covr", data)))
    destination.seek(begin + 4)
    destination.write(b"free")


def _with(box: bytes, path: Sequence[bytes], added: bytes) -> bytes:
    """A box with another at the end of the box within it that a path of names leads to."""
    kind, content = box[4:8], box[8:]
    if not path:
        return _box(kind, content + added)
    version = content[:4] if kind == b"meta" else b""
    made, found = version, False
    for name, begin, end in _boxes(content, len(version)):
        part = content[begin:end]
        # A phone's tags are in a list of another kind, which has no covers.
        ours = name == path[0] and (name != b"meta" or b"mdir" in part[:_KIND])
        if ours and not found:
            part, found = _with(part, path[1:], added), True
        made += part
    if not found:
        empty = _box(path[0], _TAGS if path[0] == b"meta" else b"")
        made += _with(empty, path[1:], added)
    return _box(kind, made)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _boxes(data: bytes, at: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes in `data` from a place on: name, begin, end."""
    while at + 8 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        end = at + size if size >= 8 else len(data)
        yield data[at + 4 : at + 8], at, end
        at = end


def _boxes_of(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of a file, of which some may be large: name, begin, end."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        size = struct.unpack_from(">I", head)[0]
        if size == 1 and len(head) == 16:
            size = struct.unpack_from(">Q", head, 8)[0]
        if size < 8:
            return
        yield head[4:8], at, at + size
        at += size
