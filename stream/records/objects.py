"""From what a file of records says of a frame's objects to instances."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.instances import Instances
from stream.objects import rle, soft
from stream.objects.outlines import filled, pixel_masks, tight, united
from stream.pictures.letterbox import placed
from stream.records.entries import (
    EDGES,
    LARGEST,
    Entry,
    MisreadError,
    RecordsFile,
    identity,
    listed,
    mapping,
    number,
    numbers,
    size_of,
    text,
    whole,
)
from stream.roi import Window
from stream.wording.words import counted

_MOST_CELLS = 1024
_Part = tuple[Window, NDArray[np.bool_]] | None


@dataclass(slots=True)
class _Object:
    """One object: its mask is soft, or pixels."""

    name: str
    score: float
    track: int | None
    box: list[float]
    cells: NDArray[np.float32] | None = None
    cells_box: list[float] | None = None
    part: _Part = None


class Objects:
    """Makes instances of the entries of a file.

    A class that the file's head does not name gets a number of its own, behind those that it does.

    Attributes:
        kinds: what masks there were so far: `soft`, `pixels`, `boxes`.

    Args:
        file: whose entries they are.
    """

    def __init__(self, file: RecordsFile) -> None:
        self.kinds: set[str] = set()
        self._file = file
        self._labels: dict[str, int] = {}
        self._names: tuple[str, ...] = tuple(file.about.classes)
        for index, name in enumerate(self._names):
            self._labels.setdefault(name, index)
        self._highest: int | None = None

    def instances(self, entry: Entry, size: tuple[int, int] | None = None) -> Instances:
        """A frame's objects, in the file's order.

        Args:
            entry: one of the file's.
            size: height and width of the picture; None for what the file says.

        Raises:
            UsageError: something of it is not understood, or does not fit the picture.
        """
        said = entry.size or self._file.about.size
        # A live source may change its size; its recording has the first one, with bars.
        boxed = size is not None and entry.size is not None and size == self._file.about.size
        if size is not None and said is not None and said != size and not boxed:
            self._file.refuse(
                entry.place,
                f"its picture has {said[1]}x{said[0]} pixels, but the frame has "
                f"{size[1]}x{size[0]}",
            )
        try:
            picture = said if boxed and said else size or said or _room(entry.objects)
            found = self._made(entry, entry.objects, picture)
            if entry.unsure is not None:
                unsure = self._made(entry, entry.unsure, picture)
                found = replace(found, unsure=unsure)
            return found if size is None or size == picture else _in_bars(found, size)
        except ValueError as error:
            self._file.refuse(entry.place, str(error))
        except MemoryError:
            self._file.refuse(
                entry.place,
                "its masks need more memory than there is; are its boxes in pixels of the picture?",
            )

    def _made(self, entry: Entry, objects: Sequence[object], size: tuple[int, int]) -> Instances:
        found = []
        for one in objects:
            given = mapping(one, "an object")
            try:
                found.append(self._object(given, size))
            except (ValueError, UsageError) as error:
                self._file.refuse(self._file.place_of(entry, given), str(error))
        return self._together(found, size, entry.mask_threshold)

    def _object(self, given: Mapping[str, object], size: tuple[int, int]) -> _Object:
        score = given.get("score")
        found = _Object(
            name=text(given.get("class"), "class"),
            score=1.0 if score is None else number(score, "score", 0, 1),
            track=identity(given.get("track")),
            box=_box(given.get("box"), "box"),
        )
        polygons, edges = given.get("polygons"), given.get(EDGES)
        masked = given.get("soft") is not None or given.get("mask") is not None
        # Beside a mask they were drawn by hand.
        if polygons or (polygons is not None and not masked):
            self.kinds.add("pixels")
            found.part = _from_polygons(_rings(polygons, "polygons"), size)
        elif edges is not None:
            self.kinds.add("pixels")
            rings = _rings(edges, "segmentation")
            # What holds the centre of no pixel is there all the same.
            found.part = united(filled(ring, size) for ring in rings) or _from_polygons(
                [ring - 0.5 for ring in rings], size
            )
        elif given.get("soft") is not None:
            self.kinds.add("soft")
            entry = mapping(given["soft"], "soft")
            cells = whole(entry.get("cells"), "cells", 1, _MOST_CELLS)
            found.cells = soft.decode(text(entry.get("data"), "data"), cells)
            if "box" in entry:
                found.cells_box = _box(entry["box"], "a soft mask's box")
                if "of" in entry:
                    before = _box(entry["of"], "the box that a soft mask is of")
                    found.cells_box = _moved(found.cells_box, before, found.box)
        elif given.get("mask") is not None:
            self.kinds.add("pixels")
            found.part = _from_rle(mapping(given["mask"], "mask"), size)
        else:
            self.kinds.add("boxes")
            found.part = _whole_box(found.box, size)
        return found

    def _label(self, name: str) -> int:
        if name not in self._labels:
            self._labels[name] = len(self._names)
            self._names = (*self._names, name)
        return self._labels[name]

    def _first_spare(self) -> int:
        """The least number behind all identities of the file, which is read for it once more."""
        if self._highest is None:
            given = [identity(one.get("track")) for one in objects_in(self._file)]
            self._highest = max((one for one in given if one is not None), default=0)
        return self._highest + 1

    def _together(
        self, found: Sequence[_Object], size: tuple[int, int], threshold: float | None
    ) -> Instances:
        labels = [self._label(one.name) for one in found]
        if not found:
            none = Instances.empty(self._names, size)
            return none if threshold is None else replace(none, mask_threshold=threshold)
        masks, mask_boxes = _masks(found)
        tracks = [one.track for one in found]
        known = [one for one in tracks if one is not None]
        ids = None
        if known:
            # What has none among those that have is nobody else's, in no frame.
            spare = count(self._first_spare() if len(known) < len(tracks) else 0)
            ids = np.array([next(spare) if one is None else one for one in tracks], np.int64)
        return Instances(
            boxes=np.array([one.box for one in found], np.float32),
            scores=np.array([one.score for one in found], np.float32),
            labels=np.array(labels, np.int64),
            masks=masks,
            class_names=self._names,
            picture_size=size,
            mask_threshold=0.5 if threshold is None else threshold,
            track_ids=ids,
            mask_boxes=mask_boxes,
        )


def _in_bars(found: Instances, size: tuple[int, int]) -> Instances:
    """What was found in a picture, in a recording of another size (height, width) that it is in."""
    height, width = found.picture_size
    place = placed((width, height), (size[1], size[0]))
    scale = np.array([place.width / width, place.height / height] * 2, np.float32)
    corner = np.array([place.left, place.top] * 2, np.float32)
    around = found.mask_boxes
    return replace(
        found,
        boxes=found.boxes * scale + corner,
        mask_boxes=None if around is None else around * scale + corner,
        picture_size=size,
        unsure=None if found.unsure is None else _in_bars(found.unsure, size),
    )


def objects_in(file: RecordsFile) -> Iterator[Mapping[str, object]]:
    """All objects of a file as it has them, read anew; what is no object is left out."""
    with type(file)(file.path) as again:
        for entry in again.entries():
            yield from (one for one in entry.objects if isinstance(one, Mapping))


def classes_in(file: RecordsFile) -> list[str]:
    """The classes of a file's objects, each once, in the order in which they come."""
    return list(dict.fromkeys(str(one.get("class")) for one in objects_in(file)))


def _moved(around: list[float], before: list[float], now: list[float]) -> list[float]:
    """The box that a soft mask lies in, after a hand has changed that of its object."""
    if now == before:
        return around
    found = list(around)
    for low, high in ((0, 2), (1, 3)):
        long = before[high] - before[low]
        times = (now[high] - now[low]) / long if long else 1.0
        for side in (low, high):
            found[side] = now[low] + (around[side] - before[low]) * times
    return found


def _masks(
    found: Sequence[_Object],
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Masks [N, M, M] and where they lie [N, 4], None where all lie in their boxes."""
    _, pixels, places = pixel_masks(one.part for one in found)
    soft_ones = [one.cells for one in found if one.cells is not None]
    if not soft_ones:
        return pixels, places
    own_box = any(one.cells_box is not None for one in found)
    sizes = {len(one) for one in soft_ones}
    if len(soft_ones) == len(found) and len(sizes) == 1:
        boxes = [one.box if one.cells_box is None else one.cells_box for one in found]
        return np.stack(soft_ones), np.array(boxes, np.float32) if own_box else None
    # Masks of several sizes: the smaller ones get cells of zeros around, below and to the right.
    most = max(*sizes, pixels.shape[1]) if len(soft_ones) < len(found) else max(sizes)
    masks = np.zeros((len(found), most, most), np.float32)
    boxes_of = np.zeros((len(found), 4), np.float32)
    for index, one in enumerate(found):
        cells, box = one.cells, one.box if one.cells_box is None else one.cells_box
        if cells is None:
            cells, box = pixels[index], places[index].tolist()
        own = len(cells)
        masks[index, :own, :own] = cells
        x1, y1, x2, y2 = box
        share = most / own
        boxes_of[index] = x1, y1, x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
    return masks, boxes_of


def _box(value: object, what: str) -> list[float]:
    box = numbers(value, what, 4)
    if box[2] < box[0] or box[3] < box[1]:
        raise ValueError(f"{what} is x1, y1, x2, y2 with x1 < x2 and y1 < y2, not {box}")
    return box


def _from_rle(given: Mapping[str, object], size: tuple[int, int]) -> _Part:
    height, width = size
    said = given.get("size")
    try:
        fits = size_of(said) == size
    except MisreadError:
        fits = False
    if not fits:
        raise ValueError(
            f"a mask is of {said} pixels (height, width), its picture of [{height}, {width}]"
        )
    return rle.decode_part(given)[1]


def _rings(given: object, what: str) -> list[NDArray[np.float64]]:
    """Outlines as corners, float64 [K, 2]."""
    found = []
    for ring in listed(given, what):
        points = numbers(ring, "a polygon")
        if not points or len(points) % 2:
            raise ValueError(
                f"a polygon is x, y, x, y and so on, not {counted(len(points), 'number')}"
            )
        if max(map(abs, points)) > 1e6:
            raise ValueError("a polygon lies far outside of its picture")
        found.append(np.array(points).reshape(-1, 2))
    return found


def _from_polygons(rings: Sequence[NDArray[np.float64]], size: tuple[int, int]) -> _Part:
    """The pixels that outlines hold, of which each passes through its outermost pixels."""
    import cv2

    corners = [np.rint(ring).astype(np.int32) for ring in rings]
    if not corners:
        return None
    every = np.concatenate(corners)
    # Drawn where they lie, as the picture may be large and they are many.
    left, top = np.maximum(every.min(axis=0), 0).tolist()
    right, bottom = np.minimum(every.max(axis=0) + 1, size[::-1]).tolist()
    if left >= right or top >= bottom:
        return None
    drawn = np.zeros((bottom - top, right - left), np.uint8)
    for ring in corners:
        cv2.fillPoly(drawn, [ring], 1, offset=(-left, -top))
    found = tight(drawn.astype(np.bool_))
    if found is None:
        return None
    (first, last, begin, end), inside = found
    return (first + top, last + top, begin + left, end + left), inside


def _whole_box(box: Sequence[float], size: tuple[int, int]) -> _Part:
    height, width = size
    left, right = (min(max(round(side), 0), width) for side in (box[0], box[2]))
    top, bottom = (min(max(round(side), 0), height) for side in (box[1], box[3]))
    if left >= right or top >= bottom:
        return None
    # One value that is all pixels, as there may be many of them.
    inside = np.broadcast_to(np.True_, (bottom - top, right - left))
    return (top, bottom, left, right), inside


def _room(objects: Sequence[object]) -> tuple[int, int]:
    """The smallest picture that holds the boxes, for files that say no size."""
    boxes = [_box(mapping(one, "an object").get("box"), "box") for one in objects]
    width = max((box[2] for box in boxes), default=1)
    height = max((box[3] for box in boxes), default=1)
    if max(width, height) > LARGEST:
        raise ValueError("a box lies far outside of any picture")
    return max(1, math.ceil(height)), max(1, math.ceil(width))
