"""The time line of an output that begins later than its source, and the size of its pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from stream.frame import Frame, Passthrough, VideoInfo
from stream.run.fit import Fit
from stream.types import AnyPacket
from stream.wording.words import counted


class TimeLine:
    """Gives frames and sound the times of an output that begins with one of the frames.

    Args:
        info: what the output was told of its frames, to which all are fitted; None where they may
            be of any size.

    Attributes:
        origin: when it begins, in seconds on the source's clock; None before the first frame.
    """

    def __init__(self, info: VideoInfo | None) -> None:
        self.origin: Fraction | None = None
        self._fit = None if info is None else Fit.to(info)

    def frame(self, frame: Frame) -> Frame:
        """A frame of its own with the time and size that the output wants; the first begins it."""
        if self.origin is None:
            self.origin = frame.pts * frame.time_base
        start = round(self.origin / frame.time_base)
        picture = frame.image if self._fit is None else self._fit(frame.image)
        alpha = frame.alpha
        if alpha is not None and alpha.shape != (picture.height, picture.width):
            alpha = None if self._fit is None else self._fit.alpha(alpha)
        return replace(frame, image=picture, pts=frame.pts - start, alpha=alpha)

    def sound(self, packets: Iterable[AnyPacket]) -> Passthrough | None:
        """Those of some packets that do not lie before its beginning; None where none does."""
        return None if self.origin is None else from_origin(packets, self.origin)

    def remarks(self, name: str) -> list[str]:
        """What became of pictures of another size, a sentence each.

        Args:
            name: of the output.
        """
        fitted = 0 if self._fit is None else self._fit.fitted
        if not fitted:
            return []
        several = counted(fitted, "picture of another size was", "pictures of another size were")
        return [f"{several} fitted between black bars in {name}"]


def from_origin(packets: Iterable[AnyPacket], origin: Fraction) -> Passthrough | None:
    """Those of some packets that do not lie before a time, with times from there.

    Args:
        packets: of sound.
        origin: in seconds, on the source's clock.
    """
    kept = [
        packet
        for packet in packets
        if packet.pts is not None and packet.pts >= round(origin / packet.time_base)
    ]
    return Passthrough(kept, origin) if kept else None
