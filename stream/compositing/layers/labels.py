"""What an object is and how sure the model is, on a small plate above it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from stream.compositing.canvas import Canvas
from stream.compositing.encoding import Encoding
from stream.compositing.layer import Layer
from stream.compositing.palette import Colour, text_colour
from stream.compositing.planes import Planes
from stream.compositing.sprites import Sprite, make_sprite, to_grid
from stream.compositing.style import Style
from stream.compositing.text import Typesetter, text_size
from stream.instances import Instances
from stream.roi import Window

_STRENGTH = 0.9
_REMEMBERED = 512
"""Labels that are kept ready; at 720p each takes about 4 kB."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is to be written, and the point above which it belongs.

    Attributes:
        text: one line.
        colour: of the plate.
        x: middle of the object's top, in pixels of the picture; may lie outside.
        y: the object's top, in pixels of the picture; may lie outside.
    """

    text: str
    colour: Colour
    x: float
    y: float


class Labels(Layer):
    """Class name, number and score above each object, as far as the style asks for them."""

    stands_before: ClassVar[bool] = True
    only_adds: ClassVar[bool] = True
    pastes: ClassVar[bool] = False

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._painter = LabelPainter(style.label_size)

    def plan(self, canvas: Canvas) -> None:
        """Labels stand on the objects' tops."""
        if self.style.words:
            canvas.want_crests()

    def paint(self, canvas: Canvas) -> None:
        """Paints labels inside the picture, clear of each other where there is room."""
        if not self.style.words:
            return
        instances = canvas.instances
        labels: list[tuple[float, Label]] = []
        for index in reversed(range(len(instances))):
            text, top = _text(instances, index, self.style.words), canvas.crest(index)
            if top is None or not text:
                continue
            x, y = top
            first = x if instances.track_ids is None else float(instances.track_ids[index])
            labels.append((first, Label(text, canvas.colour(index), x, y)))
        # Who has the first choice of a place must not change with each frame's scores, or labels
        # that are close would keep swapping: the older track has it, else who is farther left.
        labels.sort(key=lambda entry: entry[0])
        if labels:
            self._painter.paint(canvas.planes, [label for _, label in labels], canvas.occupied)


def _text(instances: Instances, index: int, words: Sequence[str]) -> str:
    said = {
        "name": instances.class_names[instances.labels[index]],
        "score": f"{100 * float(instances.scores[index]):.0f}%",
    }
    if instances.track_ids is not None:
        said["number"] = f"#{instances.track_ids[index]}"
    return " ".join(said[word] for word in words if word in said)


class LabelPainter:
    """Paints labels so that they lie inside the picture and, where there is room, side by side.

    Args:
        scale: size of the letters, as a multiple of what suits the picture.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._text = Typesetter()
        self._sprites: dict[tuple[str, Colour], Sprite | None] = {}
        self._setting: object = None

    def paint(
        self, planes: Planes, labels: Sequence[Label], occupied: Sequence[Window] = ()
    ) -> None:
        """Paints labels, the first with the first choice of its place.

        Args:
            planes: of the picture.
            labels: in the order of choice. One that has no room for a letter is left out.
            occupied: parts of the picture to keep clear of, where there is room.
        """
        height, width = planes.size
        size = text_size(height, width, self._scale)
        room = (height - height % planes.grid[0], width - width % planes.grid[1])
        # Scores come again and again, from a hundred percentages.
        setting = (size, room, planes.encoding, planes.steps)
        if self._setting != setting or len(self._sprites) > _REMEMBERED:
            self._setting = setting
            self._sprites.clear()
        taken = list(occupied)
        for label in labels:
            key = (label.text, label.colour)
            if key not in self._sprites:
                self._sprites[key] = self._make(label.text, label.colour, *setting)
            sprite = self._sprites[key]
            if sprite is not None:
                window = place(sprite.size, (label.x, label.y), room, planes.grid, taken)
                taken.append(window)
                sprite.put(planes, window[0], window[2])

    def _make(
        self,
        text: str,
        colour: Colour,
        size: int,
        room: tuple[int, int],
        encoding: Encoding,
        steps: tuple[tuple[int, int], ...],
    ) -> Sprite | None:
        beside = math.ceil(0.35 * size)
        grid = steps[-1]
        drawn = self._text.fitted(text, size, room[1] - 2 * beside - grid[1])
        height, width = to_grid(drawn.shape[0], drawn.shape[1] + 2 * beside, grid)
        if height > room[0] or width > room[1] or not drawn.any():
            return None
        plate = np.zeros((height, width), np.uint8)
        plate[: drawn.shape[0], beside : beside + drawn.shape[1]] = drawn
        ink = text_colour(colour)
        return make_sprite(plate, ink, colour, _STRENGTH, 0.25 * size, encoding, steps)


def place(
    size: tuple[int, int],
    point: tuple[float, float],
    room: tuple[int, int],
    grid: tuple[int, int],
    taken: Sequence[Window],
) -> Window:
    """Finds the place of a label.

    Args:
        size: the label's height and width in pixels, at most the room.
        point: x and y above which it belongs, centred; may lie outside the room.
        room: height and width of the picture, multiples of the grid.
        grid: rows and columns on whose multiples the label must lie.
        taken: what to keep clear of where possible.

    Returns:
        The label's window: inside the room, on the grid; above the point if that is free, else
        the nearest free place a few steps above or below it, else beside what is in the way, else
        above the point all the same.
    """
    height, width = size

    def window(top: float, left: float) -> Window:
        row = _snap(top, room[0] - height, grid[0])
        column = _snap(left, room[1] - width, grid[1])
        return row, row + height, column, column + width

    # A little above the contour.
    first = window(point[1] - 1.15 * height, point[0] - width / 2)
    in_the_way = [other for other in taken if _overlap(first, other)]
    if not in_the_way:
        return first
    top, _, left, _ = first
    for step in (-1, 1, -2, 2, -3, 3, -4, 4):
        other = window(top + 1.1 * step * height, left)
        if not any(_overlap(other, one) for one in taken):
            return other
    for _, below, before, after in in_the_way:
        beside = (top, after + grid[1] - 1), (below + grid[0] - 1, left), (top, before - width)
        for other in (window(*place) for place in beside):
            if not any(_overlap(other, one) for one in taken):
                return other
    return first


def _snap(value: float, most: int, grid: int) -> int:
    value = min(max(value, 0.0), float(most))
    return int(value) // grid * grid


def _overlap(one: Window, other: Window) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
