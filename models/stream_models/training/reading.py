"""Reads a training set from a folder in any of the known layouts."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable
from pathlib import Path

from stream.errors import UsageError
from stream.wording.words import counted
from stream_models.training.data import LONGEST, DataSet, Object, Picture, merge, shrunk
from stream_models.training.layout import find
from stream_models.training.polygons import scaled


class Purpose(enum.Enum):
    """What a set is read for: an export may hold parts of its own for both."""

    LEARN = "learn from"
    JUDGE = "judge by"
    BOTH = "learn from and judge by"


def chosen_parts(parts: Iterable[str], purpose: Purpose) -> list[str]:
    """Those of `parts` to read: for judging what is kept apart, else what is not.

    Where a set has no part for the purpose, all of it serves.
    """
    there = sorted(set(parts))
    if purpose is not Purpose.JUDGE:
        return [part for part in there if part in ("train", "")] or there
    for part in ("val", "test"):
        if part in there:
            return [part]
    return there


def holds_both(parts: Iterable[str]) -> bool:
    """Whether a set of these parts has one to learn from and another to judge by."""
    there = set(parts)
    return bool(there & {"train", ""}) and bool(there & {"val", "test"})


def read(folder: Path, purpose: Purpose = Purpose.LEARN) -> DataSet:
    """Read the set in `folder` (or the one COCO file given), whatever its layout.

    Raises:
        UsageError: it is laid out in no way that is known, or cannot be read as what it seems.
    """
    layout = find(folder)
    try:
        parts = layout.parts(folder)
        wanted = chosen_parts(parts, purpose)
        data = merge([layout.read(folder, part) for part in wanted])
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error}") from error
    left = [part for part in parts if part not in wanted]
    told = f", only its part for {_spoken(wanted)}" if left else ""
    data.notes.insert(0, f"{folder} is read as {layout.title}{told}")
    again = sum(_once(picture) for picture in data.pictures)
    if again:
        data.notes.append(
            f"{counted(again, 'object is', 'objects are')} labelled twice, with the same class, "
            f"box and mask, in {folder}: each counts once"
        )
    masks = (item.mask_weight for picture in data.pictures for item in picture.objects)
    if data.count() and not any(masks):
        data.notes.append(
            f"no object of {folder} has a mask to learn from: boxes are learnt, masks stay as the "
            "model to begin with draws them"
        )
    data.pictures = [_shrink(picture) for picture in data.pictures]
    return data


def _once(picture: Picture) -> int:
    """Takes out of a picture what repeats another of its objects; returns how many those are.

    Tools that join or copy labels repeat them. A network would be judged by finding them twice.
    """
    kept: dict[tuple[object, ...], Object] = {}
    for one in picture.objects:
        outlines = tuple(ring.tobytes() for ring in one.polygons)
        kept.setdefault((one.label, one.crowd, one.box, outlines), one)
    again = len(picture.objects) - len(kept)
    picture.objects = list(kept.values())
    return again


def _spoken(parts: list[str]) -> str:
    words = {"train": "training", "val": "validation", "test": "testing", "": "neither"}
    return " and ".join(words[part] for part in parts)


def is_split(folder: Path) -> bool:
    """Whether the set in `folder` has a part of its own to judge by."""
    return holds_both(find(folder).parts(folder))


def _shrink(picture: Picture) -> Picture:
    """The picture with its sides and objects as they will be after reading; see `LONGEST`."""
    factor = LONGEST / max(picture.width, picture.height)
    if factor >= 1.0:
        return picture
    for item in picture.objects:
        x1, y1, x2, y2 = item.box
        item.box = (x1 * factor, y1 * factor, x2 * factor, y2 * factor)
        item.polygons = scaled(item.polygons, factor)
        item.area *= factor * factor
    labelled = (picture.width, picture.height)
    width, height = shrunk(*labelled)
    return dataclasses.replace(picture, width=width, height=height, labelled=labelled)
