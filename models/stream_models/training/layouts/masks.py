"""`masks/` beside `images/`: a PNG for each picture in which each person has a number."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stream.errors import UsageError
from stream_models.training.any_case import Folders, with_suffix
from stream_models.training.data import IMAGE_SUFFIXES, DataSet, Object, Picture
from stream_models.training.forms import turn
from stream_models.training.layout import Layout
from stream_models.training.objects import pixel_box
from stream_models.training.picture_files import lying, picture_size
from stream_models.training.polygons import outline

_VOID = (255, [224, 224, 192])
"""PASCAL VOC's index for outlines that belong to nobody, and its colour in the palette."""
_SOFT = 0.1
"""Share of the pixels at edges that may lie between two values before the edges count as soft."""


class Masks(Layout):
    """The mask of `a.jpg` is `masks/a.png`: 0 background, k the k-th person.

    Every object is a person, and every person in a picture must have a mask; an empty mask says
    that nobody is there. Masks of pictures as stored, which EXIF data turn, are turned alike.
    """

    title = "PNG instance masks of people"
    looks_for = "a folder masks/ of PNG instance masks beside images/"

    def accepts(self, folder: Path) -> bool:
        """Whether the folder is there."""
        masks = Folders().find(folder, "masks")
        return masks is not None and masks.is_dir()

    def read(self, folder: Path, part: str) -> DataSet:
        """Read all pictures and their masks."""
        del part
        folders = Folders()
        images, masks = (folders.find(folder, name) for name in ("images", "masks"))
        if masks is None or images is None or not images.is_dir():
            raise UsageError(f"{folder} has masks/ but no images/ beside it")
        data = DataSet(("person",), [], [])
        paths = sorted(
            path
            for path in images.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("._")
        )
        stems = {path.stem.casefold() for path in paths}
        for mask in with_suffix(masks, ".png"):
            if mask.stem.casefold() not in stems:
                data.problems.append(f"{mask.name}: no picture of that name in {images}")
        for path in paths:
            data.described += 1
            try:
                data.pictures.append(_picture(len(data.pictures) + 1, path, masks, folders))
            except ValueError as error:
                data.problems.append(str(error))
        return data


def _picture(number: int, path: Path, masks: Path, folders: Folders) -> Picture:
    name = f"{path.stem}.png"
    file = folders.find(masks, name)
    try:
        width, height = picture_size(path)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    if file is None or not file.is_file():
        raise ValueError(f"{path.name}: its mask {name} is missing")
    try:
        ids = people(file)
    except ValueError as error:
        raise ValueError(f"{file.name}: {error}") from error
    stored = ids.shape == (width, height) and lying(path, height, width)
    if stored:
        picture = Picture(number, path, height, width, "masks", _objects(ids), np.ones(1, np.bool_))
        turn(picture, stored)
        return picture
    if ids.shape != (height, width):
        raise ValueError(
            f"{file.name}: the mask is {ids.shape[1]}x{ids.shape[0]} pixels, its picture "
            f"{width}x{height}"
        )
    return Picture(number, path, width, height, "masks", _objects(ids), np.ones(1, np.bool_))


def people(file: Path) -> NDArray[np.int64]:
    """The numbers (H, W) of the people in a mask file, 0 where there is nobody.

    A palette counts by its indices; of a picture in colours each but black is somebody. A mask of
    one value with soft edges begins at half of it.

    Raises:
        ValueError: with a clause that says what is wrong with it.
    """
    try:
        with Image.open(file) as opened:
            ids = _numbers(opened)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("the mask cannot be read") from error
    soft, hard = _edges(ids)
    if not soft:
        return ids
    if len(hard) != 1:
        raise ValueError(
            f"the mask has soft edges, {soft} pixels of values between its people's, so that it "
            "cannot be said whose they are; save it without anti-aliasing"
        )
    return (2 * ids >= hard[0]).astype(np.int64) * hard[0]


def _numbers(opened: Image.Image) -> NDArray[np.int64]:
    if opened.mode in ("P", "1", "L", "I", "I;16"):
        ids = np.asarray(opened).astype(np.int64)
        palette = opened.getpalette() if opened.mode == "P" else None
        if palette and palette[3 * _VOID[0] : 3 * _VOID[0] + 3] == _VOID[1]:
            ids[ids == _VOID[0]] = 0
        return ids
    colours = np.asarray(opened.convert("RGBA")).astype(np.int64)
    seen = colours[..., 3] >= 128
    red, green, blue = (colours[..., channel] * seen for channel in range(3))
    if (red == green).all() and (red == blue).all():
        return red
    return red << 16 | green << 8 | blue


def _edges(ids: NDArray[np.int64]) -> tuple[int, list[int]]:
    """How many pixels are in soft edges, and the values of what is no edge.

    A pixel of a soft edge belongs to no 3 by 3 pixels of its own value and lies between a lower
    and a higher one. Real people may touch each other so too, but hardly along their whole outline.
    """
    square = np.ones((3, 3), np.uint8)
    # Numbers without gaps are the same numbers, and fit what OpenCV's filters take.
    _, dense = np.unique(ids, return_inverse=True)
    ranks = dense.reshape(ids.shape).astype(np.float32)
    low, high = cv2.erode(ranks, square), cv2.dilate(ranks, square)
    flat = low == high
    whole = cv2.dilate(flat.astype(np.uint8), square) > 0
    between = ~whole & (low < ranks) & (ranks < high)
    edge = int(np.count_nonzero(low < high))
    soft = int(np.count_nonzero(between))
    if soft <= _SOFT * max(edge, 1):
        return 0, []
    return soft, [int(value) for value in np.unique(ids[flat]) if value > 0]


def _objects(ids: NDArray[np.int64]) -> list[Object]:
    objects = []
    for value in np.unique(ids[ids > 0]):
        mask = (ids == value).astype(np.uint8)
        rings = outline(mask)
        if rings:
            area = float(np.count_nonzero(mask))
            objects.append(Object(pixel_box(mask), 0, rings, area, 1.0, False))
    return objects
