"""What of a picture's colours a container and an encoder hold, found out with a tiny film."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping

import av
from av.codec.codec import Codec
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from stream.pictures.colour_tags import ColourTags
from stream.pictures.siting import SHRUNK, Siting, named
from stream.sinks._containers import ContainerKind
from stream.sinks._encoders import quieten
from stream.sinks._pictures import full_range
from stream.sinks._trial import FAILURES, SIZE, options_for, pictures


def says_range(
    kind: ContainerKind, encoder: str, options: Mapping[str, str], pixel_format: str
) -> bool:
    """Whether pictures that use all values of their samples are known as such when they are read.

    Args:
        kind: the container.
        encoder: FFmpeg's name of it.
        options: what it is opened with.
        pixel_format: of the pictures.
    """
    return _says_range(kind, encoder, tuple(sorted(options.items())), pixel_format)


@functools.cache
def _says_range(
    kind: ContainerKind, encoder: str, options: tuple[tuple[str, str], ...], pixel_format: str
) -> bool:
    read = _seen_again(kind, encoder, options, pixel_format, ColourTags(full_range=True))
    return read is not None and full_range(read)


_TAGS = {"primaries": "color_primaries", "transfer": "color_trc", "matrix": "colorspace"}
_UNSAID = 2
_SAY_COLOURS = {"h264", "hevc", "av1"}
"""Codecs that say it in their own packets, whatever the container."""
_HOLD_COLOURS = {"mp4", "mov", "matroska", "webm"}
"""Containers that say it of the usual codecs."""


def lost_colours(
    kind: ContainerKind,
    encoder: str,
    options: Mapping[str, str],
    pixel_format: str,
    colour: ColourTags,
) -> list[str]:
    """Which of a source's colour tags a reader will not find again: primaries, transfer, matrix.

    Args:
        kind: the container.
        encoder: FFmpeg's name of it.
        options: what it is opened with.
        pixel_format: of the pictures that it is given.
        colour: what the source says.
    """
    said = [name for name in _TAGS if getattr(colour, name) != _UNSAID]
    codec = Codec(encoder, "w").canonical_name
    usual = codec in _SAY_COLOURS or (codec == "vp9" and kind.format in _HOLD_COLOURS)
    if not said or usual or VideoFormat(pixel_format).is_rgb:
        return []
    read = _seen_again(kind, encoder, tuple(sorted(options.items())), pixel_format, colour)
    if read is None:
        return []  # which proves nothing
    return [name for name in said if getattr(read, _TAGS[name]) != getattr(colour, name)]


def lost_siting(
    kind: ContainerKind, encoder: str, options: Mapping[str, str], pixel_format: str, siting: str
) -> bool:
    """Whether a reader will take chroma samples to lie elsewhere than the source says.

    Args:
        kind: the container.
        encoder: FFmpeg's name of it.
        options: what it is opened with.
        pixel_format: of the pictures that it is given.
        siting: FFmpeg's name of where they lie; "" where the source does not say.
    """
    usual = siting in ("", "left") or Codec(encoder, "w").canonical_name in ("h264", "hevc")
    if usual or SHRUNK.match(pixel_format) is None:
        return False
    asked = tuple(sorted({**options, "chroma_sample_location": siting}.items()))
    read = _seen_again(kind, encoder, asked, pixel_format, ColourTags())
    return read is not None and named(Siting()(read)) != siting


@functools.cache
def _seen_again(
    kind: ContainerKind,
    encoder: str,
    options: tuple[tuple[str, str], ...],
    pixel_format: str,
    colour: ColourTags,
) -> VideoFrame | None:
    """A picture as a reader finds it again; None where that could not be tried."""
    data = io.BytesIO()
    quieten()
    try:
        trial = av.open(data, "w", format=kind.format, container_options=options_for(kind))
        stream = trial.add_stream(encoder, rate=25, options=dict(options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = SIZE
        stream.pix_fmt = pixel_format
        context = stream.codec_context
        if colour.full_range:
            context.color_range = ColorRange.JPEG
        for name, attribute in _TAGS.items():
            setattr(context, attribute, getattr(colour, name))
        for packet in pictures(stream):
            trial.mux_one(packet)
        trial.close()
        data.seek(0)
        with av.open(data, "r") as again:
            return next(again.decode(video=0))
    except (*FAILURES, StopIteration, IndexError):
        return None
