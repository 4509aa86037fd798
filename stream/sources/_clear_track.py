"""Opacity that lies in a track of its own, as that of animations in AVIF, beside its pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stream.photo_files.heif import SEQUENCES
from stream.pictures.pixels import plane_view
from stream.sources._decoded import Decoded
from stream.types import AnyPacket


def holds_opacity(container: InputContainer, stream: VideoStream) -> bool:
    """Whether a stream says how opaque another one's pictures are, as in animations in AVIF."""
    if container.metadata.get("major_brand") not in SEQUENCES:
        return False
    context: VideoCodecContext | None = stream.codec_context
    return context is not None and (context.pix_fmt or "").startswith("gray")


def with_opacity(
    pieces: Iterator[AnyPacket | Decoded], path: Path, container: InputContainer
) -> Iterator[AnyPacket | Decoded]:
    """A film's pieces, of which pictures have their opacity where a track of its own says it.

    Args:
        pieces: as they are read.
        path: the file, which is opened once more where there is such a track.
        container: the file as it is read; its still pictures have no length.
    """
    tracks = [
        one.index
        for one in container.streams.video
        if holds_opacity(container, one) and one.duration is not None
    ]
    return _joined(pieces, path, tracks[0]) if tracks and path.is_file() else pieces


def _joined(
    pieces: Iterator[AnyPacket | Decoded], path: Path, track: int
) -> Iterator[AnyPacket | Decoded]:
    # Read whole, so that no file is left open by whoever stops.
    with av.open(io.BytesIO(path.read_bytes()), mode="r", metadata_errors="replace") as container:
        opacities = _decoded(container, track)
        known = next(opacities, None)
        for piece in pieces:
            if isinstance(piece, Decoded) and piece.stored is not None:
                while known is not None and known.pts is not None and known.pts < piece.stored:
                    known = next(opacities, None)
                own = known if known is not None and known.pts == piece.stored else None
                yield replace(piece, opacity=_opacity(piece.picture, own))
            else:
                yield piece


def _decoded(container: InputContainer, track: int) -> Iterator[av.VideoFrame]:
    """The pictures of a track, as far as they can be decoded; those of the film come alone then."""
    stream = container.streams[track]
    for packet in container.demux(stream):
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            continue
        yield from (one for one in pictures if isinstance(one, av.VideoFrame))


def _opacity(picture: av.VideoFrame, told: av.VideoFrame | None) -> NDArray[np.uint8]:
    """How opaque a picture's pixels are, wholly where that is not known.

    Args:
        picture: as it came from the decoder.
        told: grey, of its size.

    Returns:
        uint8 [H, W], 0 (not at all) to 255.
    """
    if told is None or (told.width, told.height) != (picture.width, picture.height):
        return np.full((picture.height, picture.width), 255, np.uint8)
    depth = told.format.components[0].bits
    samples = plane_view(told.planes[0], depth)
    if depth == 8:
        return np.array(samples, np.uint8)
    return np.asarray(np.rint(samples * np.float32(255 / ((1 << depth) - 1))), np.uint8)
