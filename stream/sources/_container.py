"""Opening a file and choosing its streams, with one sentence for everything that can be wrong."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import CodecContext, Flags
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from stream.errors import NoSourceError, SourceError
from stream.frame import Cover
from stream.sources._clear_track import holds_opacity
from stream.sources._joined import Window
from stream.sources._numerals import decimal_points
from stream.sources._remapped import as_one
from stream.system.channels import let_be
from stream.wording.addresses import redact
from stream.wording.words import counted

# What FFmpeg takes for a video although people mean text by it.
_TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})
# A track with less than this share of another one's pictures is a still beside a film.
_STILL = Fraction(1, 4)
# Packets by which tracks are told apart where the file does not say how many pictures they have.
_COUNTED = 500
# Kinds of boxes in a file, beyond which it is none.
_KINDS_OF_BOXES = 20
# An address of which pathlib has taken one of two slashes.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/+")

# What PyAV raises for damaged input besides FFmpeg's errors: it has no names for some values, and
# streams that appear late have no place in its lists.
RAISED = (av.FFmpegError, ArithmeticError, LookupError, NotImplementedError, ValueError)
_NEVER_THE_PICTURE = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
)


def reason(error: BaseException) -> str:
    """FFmpeg's or the system's own words for what went wrong, without numbers and file names."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words).rstrip(".")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the system's refusals to give a file into a `SourceError`.

    Raises:
        SourceError: the file is missing, unreadable, or no file but an address.
    """
    try:
        yield
    except FileNotFoundError as error:
        if _ADDRESS.match(str(path)):
            address = redact(re.sub(":/+", "://", str(path), count=1))
            raise NoSourceError(
                f"{address} is an address and not a file; use `stream url` for it"
            ) from error
        raise NoSourceError(f"{path} does not exist; check the name") from error
    except PermissionError as error:
        raise SourceError(f"{path} may not be read; check its permissions") from error
    except (OSError, av.FFmpegError) as error:
        raise SourceError(f"{path} cannot be read: {reason(error)}") from error


def open_container(
    path: Path, part: tuple[int, int] | None = None, hwaccel: HWAccel | None = None
) -> InputContainer:
    """Opens a local media file.

    Args:
        path: the file.
        part: the bytes from which and before which it is read; None for all.
        hwaccel: the device that decodes; None for the CPU.

    Raises:
        SourceError: the file is missing, empty, a folder, unreadable or not a video.
    """
    with explained(path):
        status = path.stat()
        if path.is_dir():
            raise SourceError(f"{path} is a folder, not a video file")
        if path.is_file() and status.st_size == 0:
            raise SourceError(f"{path} is empty (0 bytes); nothing was recorded in it")
        if path.is_file():  # to open a pipe would be to read it
            path.open("rb").close()
    container = _opened(path, part, hwaccel)
    if container.format.name in _TEXT_FORMATS:
        container.close()
        raise SourceError(f"{path} is a text file, not a video")
    if path.is_file():
        container = as_one(container, lambda how: _opened(path, part, hwaccel, how))
    for stream in container.streams.video:
        cut_exactly(stream)
    for sound in container.streams.audio:
        if sound.codec_context is not None:  # FFmpeg knows its codec
            let_be(sound.codec_context)
    return container


def _opened(
    path: Path,
    part: tuple[int, int] | None,
    hwaccel: HWAccel | None,
    how: Mapping[str, str] | None = None,
) -> InputContainer:
    file = _range(path, part)
    try:
        # "file:" keeps a colon in the name from being taken for a protocol; the whitelist keeps
        # a playlist inside the file from reaching out to the network.
        with decimal_points():
            container: InputContainer = av.open(
                f"file:{os.fspath(path)}" if file is None else file,
                "r",
                options={"protocol_whitelist": "file,pipe,crypto,data", **(how or {})},
                metadata_errors="replace",
                hwaccel=hwaccel,
            )
    except RAISED as error:
        if file is not None:
            file.close()
        if path.is_file() and _is_unfinished(path):
            raise SourceError(
                f"{path} was cut off before it was finished: its index (moov) is missing, without "
                "which no picture is found; a program that repairs videos may make it anew"
            ) from error
        raise SourceError(
            f"{path} is not a video that can be read, or it is damaged beyond reading "
            f"({reason(error)})"
        ) from error
    return container


def _is_unfinished(path: Path) -> bool:
    """Whether a file is an MP4 or MOV whose pictures are there, and not what says where.

    A camera writes it last (ISO/IEC 14496-12, 8.2.1).
    """
    kinds: set[bytes] = set()
    with contextlib.suppress(OSError, struct.error), path.open("rb") as file:
        while len(head := file.read(16)) >= 8 and len(kinds) < _KINDS_OF_BOXES:
            size, kind = struct.unpack_from(">I4s", head)
            kinds.add(kind)
            if size == 1:
                (size,) = struct.unpack_from(">Q", head, 8)
            if size < 8:
                break
            file.seek(size - len(head), os.SEEK_CUR)
    known = kinds <= {b"ftyp", b"mdat", b"free", b"skip", b"wide", b"uuid"}
    return known and b"mdat" in kinds


def cut_exactly(video: VideoStream) -> None:
    """Has what a stream cuts off its pictures' left side cut off to the pixel.

    FFmpeg moves that to where addresses are even otherwise, and shows up to 31 columns more.
    """
    context: CodecContext | None = video.codec_context
    if context is not None:
        context.flags |= Flags.unaligned


def _range(path: Path, part: tuple[int, int] | None) -> Window | None:
    """What PyAV is to read in place of a name; None where the name will do."""
    if part is not None:
        return Window(path, *part)
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        # PyAV takes names in UTF-8 only.
        return Window(path, 0, path.stat().st_size)
    return None


def choose_video(container: InputContainer, path: Path) -> tuple[VideoStream, list[str]]:
    """The stream that a player would show: by type, the film, the default one, the largest one.

    Returns:
        The stream, and sentences that say which others are not looked at.

    Raises:
        SourceError: there is no video in the file, or none that can be decoded here.
    """
    every = list(container.streams.video)
    pictures = [s for s in every if not _never_the_picture(s)]
    # A lone still is a picture all the same: an image file opened as a video.
    pictures = pictures or every
    if container.streams.audio and all(s.disposition & Disposition.attached_pic for s in every):
        raise SourceError(f"{path} has sound but no video stream, so there is nothing to see")
    if not pictures:
        raise SourceError(f"{path} has no video stream, so there is nothing to see")
    clear = [s for s in pictures if holds_opacity(container, s)]
    pictures = [s for s in pictures if s not in clear] or pictures
    decodable = [s for s in pictures if s.codec_context is not None]
    if not decodable:
        raise SourceError(f"{path} holds video in a codec that cannot be decoded here")
    counts = _counts(decodable, path)
    most = max(counts.values())
    chosen = max(decodable, key=lambda s: _rank(s, counts[s.index] < most * _STILL))
    others = [s for s in pictures if s is not chosen and (s.frames or s.average_rate)]
    remarks = [
        f"nothing is found or painted in the video track {s.index} ({_called(s)}): only one is "
        "looked at"
        for s in others
    ]
    return chosen, remarks


def _never_the_picture(stream: VideoStream) -> bool:
    """Whether a stream holds what stands for a film, such as a poster, or an item of HEIF's kind.

    A sequence in AVIF has its first picture once more as such an item, which has no clock: FFmpeg
    gives it one of whole seconds, and no length.
    """
    item = stream.time_base == 1 and stream.frames == 1 and stream.duration is None
    return bool(stream.disposition & _NEVER_THE_PICTURE) or item


def covers_of(
    container: InputContainer, video: VideoStream, path: Path, part: tuple[int, int] | None = None
) -> tuple[Cover, ...]:
    """The pictures that stand for a file, such as a film's poster.

    Args:
        container: the open file, of which no packet is read.
        video: the stream that is decoded.
        path: the file, which is opened once more.
        part: the bytes from which and before which it is read; None for all.
    """
    wanted = {
        s.index: s
        for s in container.streams.video
        if s is not video and s.disposition & Disposition.attached_pic
    }
    found: dict[int, Cover] = {}
    if wanted and path.is_file():
        with contextlib.suppress(*RAISED, SourceError), open_container(path, part) as again:
            # FFmpeg hands them out before everything else.
            for packet in itertools.islice(again.demux(), len(again.streams)):
                stream = wanted.get(packet.stream_index)
                if stream is not None and packet.size and stream.index not in found:
                    context: VideoCodecContext | None = stream.codec_context
                    codec = "" if context is None else context.codec.canonical_name
                    name = stream.metadata.get("filename", "")
                    found[stream.index] = Cover(codec, bytes(packet), name)
    return tuple(found.values())


def _called(stream: VideoStream) -> str:
    context: VideoCodecContext | None = stream.codec_context
    if context is None:
        return "unknown codec"
    count = f", {counted(stream.frames, 'picture')}" if stream.frames else ""
    return f"{context.name}, {context.width}x{context.height}{count}"


def _counts(streams: list[VideoStream], path: Path) -> dict[int, int]:
    """How many pictures each of several streams has, by its index; as far as is worth knowing.

    Phones put a large still beside the film of a moving photo.
    """
    told = {s.index: s.frames or _tagged_count(s) for s in streams}
    if len(streams) == 1 or all(told.values()) or not path.is_file():
        return told
    counter: Counter[int] = Counter()
    with contextlib.suppress(*RAISED), open_container(path) as again:
        wanted = [again.streams[index] for index in told]
        for packet, _ in zip(again.demux(wanted), range(_COUNTED), strict=False):
            counter[packet.stream_index] += packet.size > 0
    return {index: counter[index] for index in told}


def _tagged_count(stream: VideoStream) -> int:
    """What mkvmerge and others note of a Matroska track."""
    for key, value in stream.metadata.items():
        if key.upper().startswith("NUMBER_OF_FRAMES") and value.isdecimal():
            return int(value)
    return 0


def _rank(stream: VideoStream, still: bool) -> tuple[bool, bool, bool, int, int, int]:
    # An empty track of an MP4 has no pictures; where the number is unknown (0) a rate is known.
    return (
        bool(stream.frames or stream.average_rate),
        not still,
        bool(stream.disposition & Disposition.default),
        stream.codec_context.width * stream.codec_context.height,
        stream.bit_rate or 0,
        -stream.index,
    )


def choose_copied(container: InputContainer, video: VideoStream) -> tuple[Stream, ...]:
    """The streams that go with the picture: sound, subtitles, further video, other data."""
    # FFmpeg discards what it has made something else of: the text track of an MP4's chapters. An
    # empty track of an MP4 has nothing in it.
    return tuple(
        s
        for s in container.streams
        if s is not video
        and s.discard != Discard.all
        and (
            not isinstance(s, VideoStream)
            or (
                not _never_the_picture(s)
                and not holds_opacity(container, s)
                and s.codec_context is not None
                and bool(s.frames or s.average_rate)
            )
        )
    )
