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
from stream.compositing.settling import Settled
from stream.compositing.sprites import Sprite, make_sprite, put_all, to_grid
from stream.compositing.style import Style
from stream.compositing.taken import Taken
from stream.compositing.text import Typesetter, text_size
from stream.instances import Instances
from stream.roi import Window
from stream.types import JSON

_STRENGTH = 0.9
_BESIDE = 0.35
"""Of the font size, which a plate is wider than its text at each side."""
_ASIDE = 0.75
"""Of a label's width: how far to the side it still stands above its object."""
_WIDEST = 2 / 3
"""Of a picture's width, which a label of the usual size may take before it says less."""
_FEWEST_LINES = 5
"""Font sizes that a picture is high, at least, to have labels: else they would hide objects."""
_LEFT_OUT = ("score", "number")
"""What a label does without where there is no room for all, the first first."""
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
        track: the number by which the object is known again; None where it is not.
        shorter: what is written where that would go over most of the picture, the best first.
    """

    text: str
    colour: Colour
    x: float
    y: float
    track: int | None = None
    shorter: tuple[str, ...] = ()


class Labels(Layer):
    """Class name, number and score above each object, as far as the style asks for them."""

    stands_before: ClassVar[bool] = True
    to_be_read: ClassVar[int] = 2
    only_adds: ClassVar[bool] = True
    pastes: ClassVar[int] = 0
    coloured = True

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._painter = LabelPainter(style.label_size)
        self.writes = self.settles = bool(style.words)

    def state(self) -> JSON:
        """Where labels stand."""
        return self._painter.settled.state()

    def go_on(self, state: JSON) -> None:
        """Lets labels stand where they stood."""
        self._painter.settled.go_on(state)

    def plan(self, canvas: Canvas) -> None:
        """Labels stand on the objects' tops."""
        if self.style.words:
            canvas.want_crests()

    def paint(self, canvas: Canvas) -> None:
        """Paints labels inside the picture, clear of each other where there is room.

        A picture that is hardly higher than a label has none.
        """
        instances, scale = canvas.instances, max(1.0, self.style.label_size)
        least = _FEWEST_LINES * text_size(*canvas.size, self.style.label_size) / scale
        if not self.style.words or canvas.size[0] < least:
            return
        labels: list[tuple[float, Label]] = []
        for index in reversed(range(len(instances))):
            texts, top = _texts(instances, index, self.style.words), canvas.crest(index)
            if top is None or not texts:
                continue
            x, y = top
            track = None if instances.track_ids is None else int(instances.track_ids[index])
            first = x if track is None else float(track)
            label = Label(texts[0], canvas.colour(index), x, y, track, texts[1:])
            labels.append((first, label))
        # Who has the first choice of a place must not change with each frame's scores, or labels
        # that are close would keep swapping: the older track has it, else who is farther left.
        labels.sort(key=lambda entry: entry[0])
        if labels:
            chosen = [label for _, label in labels]
            self._painter.paint(canvas.planes, chosen, canvas.occupied, canvas.seconds)


def _texts(instances: Instances, index: int, words: Sequence[str]) -> tuple[str, ...]:
    """What a label says, and what it says with less room; none where there is nothing to say."""
    said = {
        "name": instances.class_names[instances.labels[index]],
        "score": f"{100 * float(instances.scores[index]):.0f}%",
    }
    if instances.track_ids is not None:
        said["number"] = f"#{instances.track_ids[index]}"
    texts = [" ".join(said[word] for word in words if word in said)]
    for word in _LEFT_OUT:
        said.pop(word, None)
        texts.append(" ".join(said[word] for word in words if word in said))
    return tuple(text for text in dict.fromkeys(texts) if text)


class LabelPainter:
    """Paints labels so that they lie inside the picture and, where there is room, side by side.

    Args:
        scale: size of the letters, as a multiple of what suits the picture.

    Attributes:
        settled: where they stand from frame to frame.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._text = Typesetter()
        self._sprites: dict[tuple[str, Colour], Sprite | None] = {}
        self._setting: object = None
        self.settled = Settled()

    def paint(
        self,
        planes: Planes,
        labels: Sequence[Label],
        occupied: Sequence[Window] = (),
        seconds: float = 0.0,
    ) -> list[Window]:
        """Paints labels, the first with the first choice of its place.

        Args:
            planes: of the picture.
            labels: in the order of choice. One that has no room for a letter is left out.
            occupied: parts of the picture to keep clear of, where there is room.
            seconds: the frame's presentation time; what is followed has its label where it was.

        Returns:
            Where they are now.
        """
        height, width = planes.size
        size = text_size(height, width, self._scale)
        room = (height - height % planes.grid[0], width - width % planes.grid[1])
        # Scores come again and again, from a hundred percentages.
        setting = (size, room, planes.encoding, planes.steps)
        if self._setting != setting or len(self._sprites) > _REMEMBERED:
            self._setting = setting
            self._sprites.clear()
        taken, windows = Taken(room, occupied), list[Window]()
        self.settled.begin(seconds)
        followed: set[int | None] = set()
        placed: list[tuple[Sprite, int, int]] = []
        for label in labels:
            # A number that two have, as records of others' may, is nobody's to be known by.
            track = None if label.track in followed else label.track
            followed.add(track)
            key = (label.text, label.colour)
            if key not in self._sprites:
                text = self._said(label, size, room[1])
                self._sprites[key] = self._make(text, label.colour, *setting)
            sprite = self._sprites[key]
            if sprite is not None:
                point = label.x, label.y
                window = self._place(track, point, sprite.size, room, planes.grid, taken)
                taken.add(window)
                windows.append(window)
                placed.append((sprite, window[0], window[2]))
        put_all(planes, placed)
        return windows

    def _place(
        self,
        track: int | None,
        point: tuple[float, float],
        size: tuple[int, int],
        room: tuple[int, int],
        grid: tuple[int, int],
        taken: Taken,
    ) -> Window:
        """The window of a label, which stands still where its object does."""
        settled = self.settled
        if track is None:
            return place(size, point, room, grid, taken)
        wanted = above(settled.point(track, point, size[0]), size, room, grid)
        now = wanted[0], wanted[2]
        spot = settled.wanted(track, now, size)
        if spot != now:
            wanted = _window(spot, size, room, grid)

        def free(spot: tuple[int, int]) -> Window | None:
            window = _window(spot, size, room, grid)
            return window if taken.free(window) else None

        return settled.chosen(track, wanted, clear(wanted, room, grid, taken), free)

    def _said(self, label: Label, size: int, width: int) -> str:
        """As much of what a label says as does not go over most of a picture of a width."""
        widest = min(1.0, _WIDEST * max(1.0, self._scale)) * width
        for text in (label.text, *label.shorter):
            if self._text.line(text, size).shape[1] + 2 * math.ceil(_BESIDE * size) <= widest:
                return text
        return label.shorter[-1] if label.shorter else label.text

    def _make(
        self,
        text: str,
        colour: Colour,
        size: int,
        room: tuple[int, int],
        encoding: Encoding,
        steps: tuple[tuple[int, int], ...],
    ) -> Sprite | None:
        beside = math.ceil(_BESIDE * size)
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
    taken: Taken,
) -> Window:
    """Finds the place of a label.

    Args:
        size: the label's height and width in pixels, at most the room.
        point: x and y above which it belongs, centred; may lie outside the room.
        room: height and width of the picture, multiples of the grid.
        grid: rows and columns on whose multiples the label must lie.
        taken: what to keep clear of where possible.

    Returns:
        The label's window: inside the room, on the grid; above the point if that is free, else a
        step higher, else a little beside it, as below is the object's face, else the nearest free
        place a few steps above or below it, else beside what is in the way, else above the point
        all the same.
    """
    return clear(above(point, size, room, grid), room, grid, taken)


def above(
    point: tuple[float, float],
    size: tuple[int, int],
    room: tuple[int, int],
    grid: tuple[int, int],
) -> Window:
    """The window of a label above a point, were nothing in its way; see `place`."""
    # A little above the contour.
    return _window((point[1] - 1.15 * size[0], point[0] - size[1] / 2), size, room, grid)


def clear(first: Window, room: tuple[int, int], grid: tuple[int, int], taken: Taken) -> Window:
    """The window of a label that belongs in another, clear of what is in its way; see `place`."""
    in_the_way = taken.in_the_way(first)
    if not in_the_way:
        return first
    top, bottom, left, right = first
    size = height, width = bottom - top, right - left
    steps = [(top + 1.1 * step * height, left) for step in (-1, 1, -2, 2, -3, 3, -4, 4)]
    beside = [
        spot
        for _, below, before, after in in_the_way
        for spot in (
            (top, after + grid[1] - 1),
            (below + grid[0] - 1, left),
            (top, before - width),
        )
    ]
    near = [spot for spot in beside if spot[0] == top and abs(spot[1] - left) <= _ASIDE * width]
    # Many that are in the way may end at the same row or column.
    for spot in dict.fromkeys((steps[0], *near, *steps[1:], *beside)):
        other = _window(spot, size, room, grid)
        if taken.free(other):
            return other
    return first


def _window(
    spot: tuple[float, float], size: tuple[int, int], room: tuple[int, int], grid: tuple[int, int]
) -> Window:
    """The window of a size at a row and a column: inside the room, on the grid."""
    row = _snap(spot[0], room[0] - size[0], grid[0])
    column = _snap(spot[1], room[1] - size[1], grid[1])
    return row, row + size[0], column, column + size[1]


def _snap(value: float, most: int, grid: int) -> int:
    value = min(max(value, 0.0), float(most))
    return int(value) // grid * grid
