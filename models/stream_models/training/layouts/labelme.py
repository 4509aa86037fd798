"""A json file a picture, as the program labelme writes it."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.objects import rle
from stream.wording.words import counted
from stream_models.training.any_case import Folders, with_suffix
from stream_models.training.data import Box, DataSet, Object, Picture
from stream_models.training.forms import turn
from stream_models.training.layout import Layout
from stream_models.training.objects import BadLabelError, Mask, build, number, unsure
from stream_models.training.picture_files import PictureFiles, lying, picture_size

_CORNERS = 64
"""Of the polygon that a circle becomes."""
_IGNORED = "__ignore__"
_NO_CLASS = (_IGNORED, "_background_")
_LIST = "labels.txt"
_FOLDERS = ("labels", "annotations", "json", "jsons")
_LOOKED_AT = 3
"""Files that are opened to know the layout by."""


class Labelme(Layout):
    """Polygons, rectangles, circles and painted masks in pixels, each with its class's name.

    Shapes of one class that share a group number are one object. A picture without a file of its
    own is no part of the set: it may not have been looked at yet.
    """

    title = "labelme's files"
    looks_for = "a json file of labelme's for each picture"

    def accepts(self, folder: Path) -> bool:
        """Whether the first json files are of this kind."""
        if not folder.is_dir():
            return False
        for count, file in enumerate(_files(folder)):
            if count == _LOOKED_AT:
                return False
            try:
                # The head says it; what is behind may be a picture of many megabytes.
                with file.open(encoding="utf-8-sig") as opened:
                    head = opened.read(4096)
            except (OSError, UnicodeDecodeError):
                continue
            if '"shapes"' in head and '"images"' not in head:
                return True
        return False

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the files, in the order of their names."""
        del part
        read = [(file, _content(file)) for file in _files(folder)]
        contents = [(file, content) for file, content in read if content is not None]
        labels = {label for _, content in contents for label in _labels(content)}
        data = DataSet(_names(folder, labels), [], [], described=len(contents))
        pictures = PictureFiles(folder)
        for file, content in contents:
            _add(file, content, data, pictures)
        data.problems += [
            f"{file.name} is no file of labelme's" for file, content in read if content is None
        ]
        return data


def _files(folder: Path) -> Iterator[Path]:
    folders = Folders()
    places = (folder, *(folders.find(folder, name) for name in _FOLDERS))
    for place in filter(None, places):
        yield from with_suffix(place, ".json")


def _names(folder: Path, used: set[str]) -> tuple[str, ...]:
    """The classes in the order of labelme's own list, where that is there, else of the letters."""
    listed: list[str] = []
    file = Folders().find(folder, _LIST)
    if file is not None and file.is_file():
        try:
            lines = file.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} cannot be read as text: {error}") from error
        listed = [line.strip() for line in lines if line.strip()]
    wanted = [one for one in dict.fromkeys([*listed, *sorted(used)]) if one not in _NO_CLASS]
    return tuple(wanted)


def _content(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} cannot be read as json: {error}") from error
    return (
        content if isinstance(content, dict) and isinstance(content.get("shapes"), list) else None
    )


def _labels(content: dict[str, Any]) -> Iterator[str]:
    for shape in content["shapes"]:
        if isinstance(shape, dict) and isinstance(shape.get("label"), str) and shape["label"]:
            yield shape["label"]


def _add(file: Path, content: dict[str, Any], data: DataSet, pictures: PictureFiles) -> None:
    named = content.get("imagePath")
    if not isinstance(named, str) or not named:
        data.problems.append(f"{file.name}: it names no picture (imagePath)")
        return
    try:
        beside = file.parent / named.replace("\\", "/")
        path = beside if beside.is_file() else pictures.find(named)
        width, height = picture_size(path)
    except ValueError as error:
        data.problems.append(f"{file.name}: {error}")
        return
    stated = [number(content.get(side)) for side in ("imageWidth", "imageHeight")]
    orientation = 0
    if stated[0] and stated[1] and stated != [width, height]:
        orientation = lying(path, int(stated[0]), int(stated[1]))
        if not orientation:
            data.problems.append(
                f"{file.name}: the picture is {width}x{height} pixels, its labels are of one of "
                f"{stated[0]:g}x{stated[1]:g}"
            )
            return
        width, height = height, width
    known = np.ones(len(data.names), np.bool_)
    picture = Picture(len(data.pictures) + 1, path, width, height, "", [], known)
    data.pictures.append(picture)
    groups: dict[object, list[tuple[int, dict[str, Any]]]] = {}
    for place, shape in enumerate(content["shapes"], 1):
        if not isinstance(shape, dict):
            data.problems.append(f"{file.name}: shape {place} is no object")
            picture.skipped += 1
            unsure(picture, [], None)
            continue
        group = number(shape.get("group_id"))
        key = place if group is None else (str(shape.get("label")), group)
        groups.setdefault((group is None, key), []).append((place, shape))
    for members in groups.values():
        _add_object(file, members, picture, data)
    if orientation:
        turn(picture, orientation)
        folder = path.parent.name
        note = f"labels in {folder} are turned where EXIF data turn what was labelled as stored"
        if note not in data.notes:
            data.notes.append(note)


def _add_object(
    file: Path, members: list[tuple[int, dict[str, Any]]], picture: Picture, data: DataSet
) -> None:
    place, first = members[0]
    name = first.get("label")
    label = data.names.index(name) if isinstance(name, str) and name in data.names else None
    size = picture.width, picture.height
    try:
        box, mask = _shape([shape for _, shape in members], size)
        if label is None and name != _IGNORED:
            _no_class(box)
    except BadLabelError as error:
        data.problems.append(f"{file.name}, {picture.path.name}: shape {place} {error}")
        picture.skipped += 1
        unsure(picture, error.places, label)
        return
    if label is None:
        unsure(picture, [box], None)
        return
    area = mask.area if mask else (box[2] - box[0]) * (box[3] - box[1])
    polygons = mask.polygons if mask else []
    picture.objects.append(Object(box, label, polygons, area, float(mask is not None), False))


def _no_class(box: Box) -> None:
    raise BadLabelError("has no class (label)", [box])


def _shape(shapes: list[dict[str, Any]], size: tuple[int, int]) -> tuple[Box, Mask | None]:
    """The box and the mask of an object of one or several shapes."""
    parts = [_outline(shape, size) for shape in shapes]
    rings = [one for one in parts if isinstance(one, list)]
    painted = [one for one in parts if not isinstance(one, list)]
    if not painted:
        return build(None, rings, size)
    whole = np.bitwise_or.reduce(painted)
    filled = [np.round(np.reshape(ring, (-1, 2))).astype(np.int32) for ring in rings]
    cv2.fillPoly(whole, filled, 1)
    window = (0, size[1], 0, size[0])
    return build(None, rle.encode(whole > 0, window, (size[1], size[0])), size)


def _outline(shape: dict[str, Any], size: tuple[int, int]) -> list[float] | NDArray[np.uint8]:
    """A shape as a ring of x and y, or as painted pixels, uint8 [H, W] of 0 and 1."""
    kind = shape.get("shape_type") or "polygon"
    given = shape.get("points")
    pairs = (
        [one for one in given if isinstance(one, list) and len(one) == 2]
        if isinstance(given, list)
        else []
    )
    points = [(number(x), number(y)) for x, y in pairs]
    flat = [value for point in points for value in point if value is not None]
    if not points or len(flat) < 2 * len(points) or not all(map(math.isfinite, flat)):
        raise BadLabelError("has something else than points in it")
    if kind == "polygon":
        if len(points) < 3:
            raise BadLabelError(
                f"has {counted(len(points), 'point')}, and a polygon has three at least"
            )
        return flat
    if len(points) != 2:
        raise BadLabelError(
            f"is a {kind} of {counted(len(points), 'point')}, of which no mask can be made"
        )
    x1, y1, x2, y2 = flat
    if kind == "rectangle":
        return [x1, y1, x2, y1, x2, y2, x1, y2]
    if kind == "circle":
        radius = math.hypot(x2 - x1, y2 - y1)
        angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
        ring = np.stack([x1 + radius * np.cos(angles), y1 + radius * np.sin(angles)], axis=1)
        limits = np.array(size, np.float64)
        return [float(value) for value in np.clip(ring, 0, limits).reshape(-1)]
    if kind == "mask":
        return _painted(shape.get("mask"), (round(min(x1, x2)), round(min(y1, y2))), size)
    raise BadLabelError(f"is a {kind}, of which no mask can be made")


def _painted(data: object, corner: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    try:
        stored = np.frombuffer(base64.b64decode(str(data), validate=True), np.uint8)
        part = cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE) if stored.size else None
    except (binascii.Error, ValueError, cv2.error):
        part = None
    if part is None:
        raise BadLabelError("has a painted mask that cannot be decoded")
    whole = np.zeros((size[1], size[0]), np.uint8)
    left, top = max(0, corner[0]), max(0, corner[1])
    inside = (part > 0)[top - corner[1] :, left - corner[0] :]
    inside = inside[: max(0, size[1] - top), : max(0, size[0] - left)]
    whole[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return whole
