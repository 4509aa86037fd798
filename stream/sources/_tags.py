"""What decoders say of a picture's colours, where it cannot be meant."""

from __future__ import annotations

from dataclasses import replace

import av
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import readable_matrix

# FFmpeg's AVCOL_SPC_RGB and AVCOL_SPC_UNSPECIFIED.
_RGB, UNKNOWN = 0, 2
_BT2020 = 9
_NAMES = {
    8: "as YCgCo",
    10: "with BT.2020's constant luminance",
    12: "by their primaries",
    13: "by their primaries, with constant luminance",
    14: "as ICtCp",
    16: "as YCgCo-Re",
    17: "as YCgCo-Ro",
}
# Codecs that keep samples as they are; cameras of one colour use all of their values.
_EXACT = {
    "bmp", "ffv1", "ffvhuff", "huffyuv", "jpeg2000", "magicyuv", "png", "rawvideo", "tiff",
    "utvideo",
}  # fmt: skip


def mend_tags(picture: av.VideoFrame, codec: str) -> None:
    """Takes back tags of a decoded picture that contradict its format, and adds one that is meant.

    Samples of YUV and grey that are said to be red, green and blue stop encoders; grey of no stated
    range out of a codec without loss has all values, and as that of a film would be shown too
    contrasty. Nothing can be made of colours that swscale does not know: they are said to be the
    nearest that it does, here, and what they are in what is written.

    Args:
        picture: as it came from the decoder; its tags are changed.
        codec: its canonical name.
    """
    if picture.colorspace == _RGB and not picture.format.is_rgb:
        picture.colorspace = UNKNOWN
    mend_matrix(picture)
    unstated = picture.color_range == ColorRange.UNSPECIFIED
    if unstated and codec in _EXACT and picture.format.name.startswith("gray"):
        picture.color_range = ColorRange.JPEG


def mend_matrix(picture: av.VideoFrame) -> None:
    """Has a decoded picture name a matrix that swscale knows."""
    nearest = readable_matrix(picture.colorspace)
    if nearest != picture.colorspace:
        picture.colorspace = nearest


def as_stored(colour: ColourTags, video: VideoStream) -> ColourTags:
    """The tags of a mended picture as the decoder has them, for what is written."""
    stored = video.codec_context.colorspace
    mended = readable_matrix(stored) != stored and readable_matrix(stored) == colour.matrix
    return replace(colour, matrix=stored) if mended else colour


def unknown_colours(video: VideoStream) -> list[str]:
    """What is to be said of a film whose matrix is not known here, in sentences."""
    stored = video.codec_context.colorspace
    if readable_matrix(stored) == stored:
        return []
    name = _NAMES.get(stored, f"with the matrix {stored} of H.273")
    taken = "BT.2020's" if readable_matrix(stored) == _BT2020 else "usual ones"
    return [
        f"the film's colours are stored {name}, which is not known here: painting and the model "
        f"take them for {taken}"
    ]
