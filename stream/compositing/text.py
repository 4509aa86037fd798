"""Text as images of how much of each pixel it covers."""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_WEIGHT = 500
_ELLIPSIS = "\u2026"
_SMALLEST = 6
"""Pixels of a font that is still legible."""


def text_size(height: int, width: int, scale: float = 1.0) -> int:
    """The font size in pixels that suits a picture: 1/40 of its height, 18 at 720p, at least 9.

    Portrait pictures count as if they were 4:3, because text must fit their width. In pictures of
    less than 108 rows it is at most a twelfth of them, or a line would hide a head. `scale` makes
    it larger or smaller; nothing is legible below 6.
    """
    side = min(height, 0.75 * width)
    usual = max(min(9, round(side / 12)), round(side / 40))
    return max(_SMALLEST, round(scale * max(_SMALLEST, usual)))


def unpack() -> None:
    """Has OpenCV unpack its face for the calling thread: 25 ms of the first text else.

    Each thread has one of its own.
    """
    Typesetter().line("0", _SMALLEST)


class Typesetter:
    """Draws single lines of text; what was drawn lately is remembered.

    OpenCV 5 brings a variable sans-serif face with Latin, Greek, Cyrillic and Chinese letters.
    OpenCV 4 has only line-drawn ASCII letters: there, accents are dropped and other letters become
    question marks. Not thread-safe: each thread needs its own.
    """

    def __init__(self) -> None:
        face = getattr(cv2, "FontFace", None)
        self._face: cv2.FontFace | None = None if face is None else face("sans")
        self._remembered = lru_cache(maxsize=512)(self._draw)

    def line(self, text: str, size: int) -> NDArray[np.uint8]:
        """Draws one line.

        Args:
            text: any text; line breaks and control characters count as spaces.
            size: of the font in pixels; a capital letter is about 0.7 times as high.

        Returns:
            uint8 [1.25 * size, width], 0 (nothing) to 255 (covered); not to be written to. The
            baseline lies at row `size`; the width is at least 1.
        """
        return self._remembered(text, size)

    def fitted(self, text: str, size: int, width: int) -> NDArray[np.uint8]:
        """Like `line`, but shortened at its end, with an ellipsis, to at most a width.

        The width is at least 1, whatever was asked for; nothing is drawn where nothing fits.
        """
        drawn = self.line(text, size)
        # By bisection: how many characters fit.
        fitting, tried = 0, len(text)
        while drawn.shape[1] > width and tried > fitting + 1:
            middle = (fitting + tried) // 2
            if self.line(text[:middle].rstrip() + _ELLIPSIS, size).shape[1] <= width:
                fitting = middle
            else:
                tried = middle
        if drawn.shape[1] <= width:
            return drawn
        return self.line(text[:fitting].rstrip() + _ELLIPSIS if fitting else "", size)

    def _draw(self, text: str, size: int) -> NDArray[np.uint8]:
        text = unicodedata.normalize("NFC", text)
        text = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
        height = math.ceil(1.25 * size)
        # No letter is wider than an em and a bit; what is too much is cut off below.
        canvas = np.zeros((height, math.ceil(1.2 * size * (len(text) + 1))), np.uint8)
        if self._face is not None:
            end, _ = cv2.putText(canvas, text, (0, size), 255, self._face, size, _WEIGHT)
            width = int(end[0])
        else:
            plain = unicodedata.normalize("NFKD", text.replace(_ELLIPSIS, ".."))
            plain = "".join(c for c in plain if not unicodedata.combining(c))
            plain = plain.encode("ascii", "replace").decode()
            face, scale, stroke = cv2.FONT_HERSHEY_SIMPLEX, size / 30, max(1, round(size / 14))
            cv2.putText(canvas, plain, (0, size), face, scale, 255, stroke, cv2.LINE_AA)
            width = cv2.getTextSize(plain, face, scale, stroke)[0][0]
        drawn = canvas[:, : max(1, min(width, canvas.shape[1]))].copy()
        drawn.flags.writeable = False
        return drawn
