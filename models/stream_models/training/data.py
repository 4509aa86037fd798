"""What a training set is."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_models.training.polygons import Polygons

logger = logging.getLogger(__name__)

# Larger pictures are shrunk to this longest side (pixels): the network sees at most 640.
LONGEST = 960
IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".avif",
)
ANY_CLASS = -1
"""The label of a place that proves nothing about any class."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the picture as it is shown, turned as its EXIF data say."""


@dataclasses.dataclass
class Object:
    """One labelled object: box (x1, y1, x2, y2) in pixels of the picture, 0-based label.

    `area` in square pixels is that of the mask, or of the box where there is none. `mask_weight`
    is 0 where the mask is unknown; `crowd` marks an area that proves nothing, about its class or,
    with the label `ANY_CLASS`, about any.
    """

    box: Box
    label: int
    polygons: Polygons
    area: float
    mask_weight: float
    crowd: bool


@dataclasses.dataclass
class Picture:
    """One picture and what is known about it.

    `id` is unique in its set. `width` and `height` are those used from here on, at most `LONGEST`:
    larger files are shrunk when they are read; `labelled` is the size that its labels are made
    for, where that is larger. `known` (classes,) is true for the completely labelled classes.
    `skipped` counts the objects in it that are left out.
    """

    id: int
    path: Path
    width: int
    height: int
    source: str
    objects: list[Object]
    known: NDArray[np.bool_]
    skipped: int = 0
    labelled: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Its file's and its folder's, which stay where data are moved as a whole."""
        return f"{self.path.parent.name}/{self.path.name}"


def shrunk(width: int, height: int) -> tuple[int, int]:
    """The size that a picture of these sides is used in; see `LONGEST`."""
    factor = min(LONGEST / max(width, height), 1.0)
    return max(round(width * factor), 1), max(round(height * factor), 1)


@dataclasses.dataclass
class DataSet:
    """Pictures and the class names their labels index.

    `problems` are one sentence each: what is wrong, and left out of `pictures`. `notes` say how
    something was understood that could be meant otherwise. `described` counts the pictures that
    the set speaks of, usable or not; `stray` the objects of pictures that it does not speak of.
    """

    names: tuple[str, ...]
    pictures: list[Picture]
    problems: list[str]
    notes: list[str] = dataclasses.field(default_factory=list)
    described: int = 0
    stray: int = 0

    def count(self) -> int:
        """How many objects there are, without places that prove nothing."""
        return sum(not item.crowd for picture in self.pictures for item in picture.objects)


PERSON = "person"


def class_among(name: str, names: Sequence[str]) -> int | None:
    """The place of a class in `names`: as it is written there, or else but for case and `_` or `-`.

    Labelling tools write "Person" and "sports_ball" for what others call "person" and "sports
    ball".

    Returns:
        The place; None where it is not there.
    """
    if name in names:
        return names.index(name)
    alike = (place for place, other in enumerate(names) if plain(other) == plain(name))
    return next(alike, None)


def same_classes(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two lists name the same classes in the same order; see `class_among`."""
    return list(map(plain, names)) == list(map(plain, others))


def plain(name: str) -> str:
    """A class's name without what `class_among` looks past."""
    return " ".join(re.sub(r"[_-]", " ", name.casefold()).split())


_PARTS = {
    "train": re.compile(r"train(ing)?(?![a-z])", re.IGNORECASE),
    "val": re.compile(r"val(id|idation)?(?![a-z])", re.IGNORECASE),
    "test": re.compile(r"test(ing)?(?![a-z])", re.IGNORECASE),
}


def part_of(name: str) -> str:
    """The part that a file or folder name stands for: `train`, `val`, `test`, or "" for none."""
    for part, pattern in _PARTS.items():
        if pattern.match(name):
            return part
    return ""


def merge(sets: list[DataSet]) -> DataSet:
    """One set of several: classes by name, pictures numbered anew.

    A class that one of them does not name is unknown in its pictures.
    """
    names = tuple(dict.fromkeys(name for data in sets for name in data.names))
    out = DataSet(names, [], [])
    taken: set[Path] = set()
    for data in sets:
        to = [names.index(name) for name in data.names]
        for picture in data.pictures:
            if picture.path in taken:
                out.problems.append(f"{picture.path.name}: the picture is labelled in two places")
                continue
            known = np.zeros(len(names), np.bool_)
            known[to] = picture.known
            for item in picture.objects:
                item.label = to[item.label] if item.label >= 0 else item.label
            number = len(out.pictures) + 1
            out.pictures.append(dataclasses.replace(picture, id=number, known=known))
        taken.update(picture.path for picture in data.pictures)
        out.problems += data.problems
        out.notes += data.notes
        out.described += data.described
        out.stray += data.stray
    return out
