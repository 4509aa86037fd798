"""Something else behind the objects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.behind import Background, Behind
from stream.compositing.canvas import Canvas
from stream.compositing.encoding import Encoding, encoded
from stream.compositing.mattes import Matte
from stream.compositing.palette import Colour
from stream.compositing.planes import Samples, reduce_to
from stream.compositing.style import Style, parse_colour
from stream.errors import UsageError

_Setting = tuple[tuple[int, int], tuple[tuple[int, int], ...], Encoding]


class Replace(Behind):
    """Puts a colour or a picture behind the objects.

    Raises:
        UsageError: the background is neither a colour nor a picture that can be read.
    """

    held: ClassVar[bool] = False

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._colour: Colour | None = None
        self._picture: NDArray[np.uint8] | None = None
        self._fitted: tuple[_Setting, list[Samples]] | None = None
        if re.fullmatch("#?[0-9a-fA-F]{6}", style.background):
            self._colour = parse_colour(style.background)
        else:
            self._picture = _read(style.background)

    def backgrounds(self, canvas: Canvas, matte: Matte) -> Sequence[Background | None]:
        """The colour's code values, or the picture, cut to the canvas's shape."""
        if self._colour is not None:
            return [*canvas.encoding.codes(self._colour)][: len(canvas.steps)]
        setting = (canvas.size, canvas.steps, canvas.encoding)
        if self._fitted is None or self._fitted[0] != setting:
            self._fitted = setting, self._fit(*setting)
        return list(self._fitted[1])

    def _fit(
        self, size: tuple[int, int], steps: tuple[tuple[int, int], ...], encoding: Encoding
    ) -> list[Samples]:
        assert self._picture is not None
        planes = encoded(cover(self._picture, size), encoding)
        return [reduce_to(plane, step) for plane, step in zip(planes, steps, strict=False)]


def cover(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture scaled to cover a (height, width) without distortion, its middle kept."""
    height, width = size
    scale = max(height / rgb.shape[0], width / rgb.shape[1])
    # The part that will be seen.
    rows = min(rgb.shape[0], max(1, round(height / scale)))
    columns = min(rgb.shape[1], max(1, round(width / scale)))
    top, left = (rgb.shape[0] - rows) // 2, (rgb.shape[1] - columns) // 2
    seen = rgb[top : top + rows, left : left + columns]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(seen, (width, height), interpolation=how), np.uint8)


def _read(path: str) -> NDArray[np.uint8]:
    file = Path(path)
    if not file.is_file():
        raise UsageError(
            f"the background {path!r} is neither a colour such as 00FF00 nor a file that is there"
        )
    found = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise UsageError(f"the background {path!r} cannot be read as a picture")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)
