"""Opening a file and choosing its streams, with one sentence for everything that can be wrong."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from stream.errors import SourceError

# What FFmpeg takes for a video although people mean text by it.
_TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})
_NEVER_THE_PICTURE = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
)


def reason(error: BaseException) -> str:
    """FFmpeg's or the system's own words for what went wrong, without numbers and file names."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words).rstrip(".")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the system's refusals to give a file into a `SourceError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist; check the name") from error
    except PermissionError as error:
        raise SourceError(f"{path} may not be read; check its permissions") from error
    except (OSError, av.FFmpegError) as error:
        raise SourceError(f"{path} cannot be read: {reason(error)}") from error


def open_container(path: Path) -> InputContainer:
    """Opens a local media file.

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
    try:
        # "file:" keeps a colon in the name from being taken for a protocol; the whitelist keeps
        # a playlist inside the file from reaching out to the network.
        container = av.open(
            f"file:{os.fspath(path)}",
            options={"protocol_whitelist": "file,pipe,crypto,data"},
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError) as error:
        raise SourceError(
            f"{path} is not a video that can be read, or it is damaged beyond reading "
            f"({reason(error)})"
        ) from error
    if container.format.name in _TEXT_FORMATS:
        container.close()
        raise SourceError(f"{path} is a text file, not a video")
    return container


def choose_video(container: InputContainer, path: Path) -> VideoStream:
    """The stream that a player would show: by type, the default one, the largest one.

    Raises:
        SourceError: there is no video in the file, or none that can be decoded here.
    """
    pictures = [s for s in container.streams.video if not s.disposition & _NEVER_THE_PICTURE]
    # A lone still is a picture all the same: an image file opened as a video.
    pictures = pictures or list(container.streams.video)
    if container.streams.audio and all(
        s.disposition & Disposition.attached_pic for s in container.streams.video
    ):
        raise SourceError(f"{path} has sound but no video stream, so there is nothing to see")
    if not pictures:
        raise SourceError(f"{path} has no video stream, so there is nothing to see")
    decodable = [s for s in pictures if s.codec_context is not None]
    if not decodable:
        raise SourceError(f"{path} holds video in a codec that cannot be decoded here")
    return max(decodable, key=_rank)


def _rank(stream: VideoStream) -> tuple[bool, bool, int, int, int]:
    # An empty track of an MP4 has no pictures; where the number is unknown (0) a rate is known.
    return (
        bool(stream.frames or stream.average_rate),
        bool(stream.disposition & Disposition.default),
        stream.codec_context.width * stream.codec_context.height,
        stream.bit_rate or 0,
        -stream.index,
    )


def choose_copied(container: InputContainer, video: VideoStream) -> tuple[Stream, ...]:
    """The streams that go with the picture: all sound, subtitles, attachments, other data."""
    # FFmpeg discards what it has made something else of: the text track of an MP4's chapters.
    return tuple(
        s
        for s in container.streams
        if s is not video and s.type != "video" and s.discard != Discard.all
    )
