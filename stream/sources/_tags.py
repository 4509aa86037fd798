"""What decoders say of a picture's colours, where it cannot be meant."""

from __future__ import annotations

import av
from av.video.reformatter import ColorRange

# FFmpeg's AVCOL_SPC_RGB and AVCOL_SPC_UNSPECIFIED.
_RGB, UNKNOWN = 0, 2
# Codecs that keep samples as they are; cameras of one colour use all of their values.
_EXACT = {
    "bmp", "ffv1", "ffvhuff", "huffyuv", "jpeg2000", "magicyuv", "png", "rawvideo", "tiff",
    "utvideo",
}  # fmt: skip


def mend_tags(picture: av.VideoFrame, codec: str) -> None:
    """Takes back tags of a decoded picture that contradict its format, and adds one that is meant.

    Samples of YUV and grey that are said to be red, green and blue stop encoders; grey of no stated
    range out of a codec without loss has all values, and as that of a film would be shown too
    contrasty.

    Args:
        picture: as it came from the decoder; its tags are changed.
        codec: its canonical name.
    """
    if picture.colorspace == _RGB and not picture.format.is_rgb:
        picture.colorspace = UNKNOWN
    unstated = picture.color_range == ColorRange.UNSPECIFIED
    if unstated and codec in _EXACT and picture.format.name.startswith("gray"):
        picture.color_range = ColorRange.JPEG
