"""What live sources have in common."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

import av

from stream.pictures.pixels import paintable, tagged
from stream.pictures.scaler import Scaler
from stream.sources._pixels import nearest_native, within_depth
from stream.sources.base import Source

_ODDEST = 4
"""By how much wider samples may come to be on the way."""


class LiveSource(Source):
    """A source whose pictures come at their own pace and cannot wait.

    Its pictures may change their size on the way; `info` says what the first ones have.

    Attributes:
        reconnects: how often it came back after it was gone.
        dropped: pictures that were let go because nobody took them in time.
    """

    live: ClassVar[bool] = True

    reconnects: int = 0
    dropped: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be shown on the picture at this moment; also while no picture comes."""
        return ()


def planar(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture in planar YUV, as compositing paints into; unchanged where it is that already.

    Cameras also deliver packed formats (YUYV, RGB) and half-packed ones (NV12).
    """
    if paintable(picture.format.name):
        return within_depth(picture)
    pts, time_base = picture.pts, picture.time_base
    rgb = picture.format.is_rgb or picture.format.has_palette
    # RGB halved in its colours as every camera's pictures are: all players and encoders take that.
    native = "yuv420p" if rgb else nearest_native(picture.format.name)
    converted = Scaler()(picture, pixel_format=native)
    converted.pts = pts
    if time_base is not None:
        converted.time_base = time_base
    return converted


def reshaped(picture: av.VideoFrame, shape: Fraction, wanted: Fraction) -> av.VideoFrame:
    """The picture with samples of the wanted shape: of another size where they had another one.

    Whoever takes live pictures takes those of other sizes, and knows one shape. Nothing is made
    smaller. What no camera sends is not believed, as damaged streams say anything.

    Args:
        picture: in planar YUV.
        shape: width over height of one of its samples.
        wanted: likewise, of what comes out.
    """
    wider = shape / wanted
    if wider == 1 or not 1 / _ODDEST <= wider <= _ODDEST:
        return picture
    width = picture.width if wider < 1 else round(picture.width * wider / 2) * 2
    height = picture.height if wider > 1 else round(picture.height / wider / 2) * 2
    made = Scaler()(picture, width, height)
    return tagged(made, picture)


def likely_rate(rate: Fraction | None) -> Fraction | None:
    """A stream's frame rate where it can be one; live streams also claim 90,000."""
    return rate if rate is not None and Fraction(1, 10) <= rate <= 480 else None
