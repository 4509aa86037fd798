"""One of the objects found in a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.attributes import unchanging
from stream.objects import rle
from stream.objects.outlines import Ring, rings
from stream.roi import Window, paste_mask

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Measures(NamedTuple):
    """How large an object is, and where.

    Attributes:
        area: how many pixels of the picture are the object's.
        centroid: the mean of their centres, x and y in pixels; None where there is none.
    """

    area: int
    centroid: tuple[float, float] | None


class Shape(NamedTuple):
    """What there is to say of an object's pixels.

    Attributes:
        area: how many there are.
        centroid: the mean of their centres, x and y in pixels; None where there is none.
        rle: the mask at full size in COCO's run lengths.
    """

    area: int
    centroid: tuple[float, float] | None
    rle: rle.Rle


def to_pick(given: object) -> str:
    """How some of several instances are picked, where single ones were given for them; else ""."""
    if not isinstance(given, Instance | Iterable) or isinstance(given, str | np.ndarray):
        return ""
    return "; found[[one.score > 0.8 for one in found]] picks some of them, found[:1] the first"


@unchanging
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Instance:
    """One object of a picture. Compares by value; arrays must be exactly the same.

    Attributes:
        box: float32 [4], x1, y1, x2, y2 in pixels of the picture; may be fractional.
        score: 0..1.
        label: index into the model's classes.
        name: the class's name.
        mask: float32 [M, M], soft mask (0..1) in the frame of `mask_box`.
        mask_box: float32 [4], where the mask lies, in pixels of the picture.
        picture_size: (height, width) in pixels.
        mask_threshold: a soft mask above this is the object, 0..1.
        track_id: its identity over time, or None where nothing tracks.
    """

    box: NDArray[np.float32]
    score: float
    label: int
    name: str
    mask: NDArray[np.float32]
    mask_box: NDArray[np.float32]
    picture_size: tuple[int, int]
    mask_threshold: float = 0.5
    track_id: int | None = None

    @property
    def area(self) -> int:
        """Pixels of the picture that are the object's."""
        pasted = self.part()
        return 0 if pasted is None else int(np.count_nonzero(pasted[1]))

    @property
    def centroid(self) -> tuple[float, float] | None:
        """The mean of its pixels' centres, x and y in pixels; None where it has no pixel."""
        return self.measures().centroid

    def measures(self) -> Measures:
        """Area and centroid at once."""
        return _measured(self.part())

    def shape(self) -> Shape:
        """Area, centroid and run lengths at once: the mask is pasted only once for them."""
        part = self.part()
        window, inside = part or ((0, 0, 0, 0), np.zeros((0, 0), np.bool_))
        return Shape(*_measured(part), rle.encode(inside, window, self.picture_size))

    def part(self) -> tuple[Window, NDArray[np.bool_]] | None:
        """The part of the picture that the mask lies in, and bool of its size; None for none."""
        height, width = self.picture_size
        return paste_mask(self.mask, self.mask_box, width, height, self.mask_threshold)

    def full_mask(self) -> NDArray[np.bool_]:
        """The mask at full picture size, bool [H, W]."""
        full = np.zeros(self.picture_size, np.bool_)
        pasted = self.part()
        if pasted is not None:
            (top, bottom, left, right), inside = pasted
            full[top:bottom, left:right] = inside
        return full

    def polygons(self, tolerance: float = 0.0) -> list[Ring]:
        """Its outlines; see `Instances.polygons`."""
        pasted = self.part()
        return [] if pasted is None else rings(pasted[1], pasted[0], tolerance)

    def rle(self) -> rle.Rle:
        """Its mask in COCO's run lengths; see `Instances.rle`."""
        return self.shape().rle

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return same(self, other) if isinstance(other, Instance) else NotImplemented

    def __repr__(self) -> str:
        track = "" if self.track_id is None else f" #{self.track_id}"
        box = ", ".join(f"{side:.1f}" for side in self.box.tolist())
        return f"Instance({self.name}{track}, {self.score:.3f}, box [{box}])"


def _measured(part: tuple[Window, NDArray[np.bool_]] | None) -> Measures:
    if part is None:
        return Measures(0, None)
    (top, _, left, _), inside = part
    columns, rows = np.count_nonzero(inside, axis=0), np.count_nonzero(inside, axis=1)
    area = int(columns.sum())
    if not area:
        return Measures(0, None)
    x = float(columns @ np.arange(len(columns))) / area + left + 0.5
    y = float(rows @ np.arange(len(rows))) / area + top + 0.5
    return Measures(area, (x, y))


def same(one: DataclassInstance, other: DataclassInstance) -> bool:
    """Whether two records of one class have the same fields; arrays, the same numbers."""
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray) or isinstance(theirs, np.ndarray):
            if mine is None or theirs is None or not np.array_equal(mine, theirs):
                return False
        elif mine != theirs:
            return False
    return True
