"""How opaque the pixels of decoded pictures are, where their format or their file says so."""

from __future__ import annotations

import re

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stream.frame import Frame
from stream.pictures.on_black import on_black
from stream.pictures.pixels import has_alpha, plane_view
from stream.pictures.scaler import Scaler

_PACKED = {"rgba": 3, "bgra": 3, "argb": 0, "abgr": 0}
"""Formats of four bytes a pixel, and which of them is the opacity."""
_PLANAR = re.compile(r"(yuva4[0-4][0-4]|gbra)p((9|10|12|14|16)le)?")
# VP8 and VP9 store opacity as a second picture beside the first; FFmpeg's own decoders, which are
# taken where nobody asks for others, pass it over.
_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def declared(video: VideoStream) -> bool:
    """Whether a file says of a stream that a second picture beside each holds its opacity."""
    tags = {name.lower(): value for name, value in video.metadata.items()}
    return tags.get("alpha_mode", "0") != "0"


def decoder_of(video: VideoStream) -> VideoCodecContext | None:
    """A decoder of a stream's that also reads `declared` opacity.

    Returns:
        None where the stream's own does all that there is, or no other is at hand.
    """
    name = _DECODERS.get(video.codec_context.codec.canonical_name)
    if name is None or not declared(video):
        return None
    try:
        made = av.CodecContext.create(name, "r")
    except (av.FFmpegError, ValueError):
        return None
    assert isinstance(made, VideoCodecContext)
    # What the container says of colours: FFmpeg tells it to the stream's own decoder alone.
    told = video.codec_context
    made.color_primaries, made.color_trc = told.color_primaries, told.color_trc
    made.colorspace, made.color_range = told.colorspace, told.color_range
    return made


class Opacity:
    """Takes the opacity out of pictures."""

    def __init__(self) -> None:
        self._scale = Scaler()

    def __call__(self, picture: av.VideoFrame) -> NDArray[np.uint8] | None:
        """How opaque each pixel of a picture is.

        Args:
            picture: as it came from the decoder.

        Returns:
            uint8 [H, W], 0 (not at all) to 255; None where the format has no place for it.
        """
        if not has_alpha(picture.format):
            return None
        name = picture.format.name
        if name not in _PACKED and not _PLANAR.fullmatch(name):
            picture, name = self._scale(picture, pixel_format="rgba"), "rgba"
        if name in _PACKED:
            return np.array(plane_view(picture.planes[0], channels=4)[..., _PACKED[name]], np.uint8)
        depth = picture.format.components[3].bits
        samples = plane_view(picture.planes[3], depth)
        if depth == 8:
            return np.array(samples, np.uint8)
        return np.asarray(np.rint(samples * np.float32(255 / ((1 << depth) - 1))), np.uint8)


class ClearParts:
    """Whether a film's pictures are clear in parts, as told by the first, and what is lost of it.

    Many files have a place for opacity and no use; an encoder need not write it then.

    Attributes:
        kept: whether each picture's opacity goes with it.
        asked: whether it is to be looked at.
    """

    def __init__(self, first: NDArray[np.uint8] | None, *, says: bool = False) -> None:
        """Looks at the first picture.

        Args:
            first: the opacity of the first picture; None where it does not tell.
            says: whether the file says that a second picture beside each holds it.
        """
        self.kept = first is not None and (says or bool((first < 255).any()))
        self.asked = first is not None
        self._why = "cannot be decoded here" if says and first is None else ""

    @classmethod
    def of(cls, video: VideoStream, first: NDArray[np.uint8] | None) -> ClearParts:
        """Those of a file's video, which may say itself that it has such."""
        return cls(first, says=declared(video))

    def tell(self, frame: Frame, opacity: NDArray[np.uint8] | None) -> None:
        """Tells a frame its opacity, or lays its picture on black where that is not kept.

        Args:
            frame: as it comes from the file.
            opacity: of its picture; None where that tells none.
        """
        if self.kept:
            frame.alpha = opacity
            return
        shown = on_black(frame.image, opacity)
        if shown is not frame.image:
            frame.image, self._why = shown, "begins after the first picture"

    @property
    def remarks(self) -> list[str]:
        """What is lost, where anything is."""
        return [f"the picture's transparency is dropped, as it {self._why}"] if self._why else []
