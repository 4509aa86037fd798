"""What the refiner learns from: a model's own masks of objects whose true masks are known."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.disk.files import write_whole
from stream.errors import UsageError
from stream.inference.catalogue import find
from stream.inference.segmenter import Segmenter
from stream.wording.words import called
from stream_models.training.data import Box, DataSet, Object, class_among
from stream_models.training.faults import camera
from stream_models.training.picture_files import load_picture
from stream_models.training.polygons import draw

PIXELS, INDEX = "samples.bin", "samples.json"
_LEAST = 48.0
"""Pixels of a mask's side, the geometric mean, below which there is nothing to refine."""
_ROOM = 0.35
"""How much picture is kept around an object's boxes, as a share of their sides."""
_SAME = 0.5, 0.4
"""From this IoU on, of boxes and of masks, what was found is the labelled object."""
_THRESHOLD = 0.3


@dataclasses.dataclass(frozen=True)
class Found:
    """A mask of the model's.

    Attributes:
        mask: uint8 [M, M], 0..255 for 0..1; more than 127 is the object.
        box: float32 [4], x1, y1, x2, y2, where it lies, in pixels of the sample.
    """

    mask: NDArray[np.uint8]
    box: NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Sample:
    """An object, the picture around it, and what the model made of it.

    Attributes:
        rgb: uint8 [H, W, 3].
        true: uint8 [H, W], 1 where the object is.
        found: the model's masks, of the picture as it is and with a camera's faults.
        source: which set it comes from.
        picture: its picture's number.
    """

    rgb: NDArray[np.uint8]
    true: NDArray[np.uint8]
    found: tuple[Found, ...]
    source: str
    picture: int


def collect(
    data: DataSet,
    segmenter: Segmenter,
    folder: Path,
    classes: Sequence[str],
    seed: int,
    watch: Callable[[int, int], None],
    of: str = "",
) -> int:
    """Let a model find the objects of `data`, and keep those whose masks are surely true.

    Args:
        data: pictures with masks; objects whose `mask_weight` is below 1 are left out.
        segmenter: the model.
        folder: where `samples.bin` and `samples.json` go.
        classes: of objects that are kept, as the model spells them; data may write them otherwise.
        seed: of the camera's faults.
        watch: is told how many pictures of how many are done.
        of: what they are made of; see `made_of`.

    Returns:
        How many samples there are.

    Raises:
        UsageError: there is no such object.
        ValueError: a picture cannot be read.
        OSError: they cannot be written, with the file's name; samples that were there are gone.
    """
    (folder / INDEX).unlink(missing_ok=True)
    partial = folder / (PIXELS + ".partial")
    try:
        entries = _collect(data, segmenter, partial, classes, seed, watch)
        if not entries:
            raise UsageError(
                f"the model finds no object of the class {' or '.join(map(called, classes))} that "
                "has a sure mask"
            )
        partial.replace(folder / PIXELS)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(partial)) from error
    finally:
        partial.unlink(missing_ok=True)
    content = {"of": of, "samples": entries}
    write_whole(folder / INDEX, json.dumps(content).encode(), overwrite=True)
    return len(entries)


def made_of(data: DataSet, model: str, classes: Sequence[str], seed: int) -> str:
    """What tells samples of one set, model, choice of classes and seed from those of another.

    Raises:
        ModelError: there is no such model.
        OSError: a file cannot be read.
    """
    told = hashlib.sha256()
    for _, path in sorted(find(model).files.items()):
        told.update(path.read_bytes())
    told.update(json.dumps([classes, data.names, seed]).encode())
    for picture in data.pictures:
        size = picture.path.stat().st_size
        told.update(repr((picture.name, size, picture.width, picture.height)).encode())
        for one in picture.objects:
            told.update(repr((one.box, one.label, one.mask_weight, one.crowd)).encode())
            for ring in one.polygons:
                told.update(ring.tobytes())
    return told.hexdigest()


def are_of(folder: Path) -> str | None:
    """What the samples in a folder were made of; None where there are none, "" where untold."""
    if not (folder / INDEX).is_file():
        return None
    return _index(folder)[0]


def _index(folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """What the samples in a folder were made of, and where each lies."""
    content = json.loads((folder / INDEX).read_text())
    if isinstance(content, list):  # of runs before that was told
        return "", content
    return str(content["of"]), content["samples"]


def _collect(
    data: DataSet,
    segmenter: Segmenter,
    file: Path,
    classes: Sequence[str],
    seed: int,
    watch: Callable[[int, int], None],
) -> list[dict[str, object]]:
    """Writes the samples' pixels, and returns where each lies."""
    segmenter.threshold = _THRESHOLD
    wanted = {
        label for label, name in enumerate(data.names) if class_among(name, classes) is not None
    }
    entries = []
    with file.open("wb") as pixels:
        for place, picture in enumerate(data.pictures):
            watch(place, len(data.pictures))
            objects = [one for one in picture.objects if _sure(one, wanted)]
            if not objects:
                continue
            rgb = load_picture(picture)
            rng = np.random.default_rng((seed, picture.id))
            faulty = np.ascontiguousarray(_faulty(rgb, rng)[:, ::-1])
            seen = [_people(segmenter, rgb, classes, False)]
            seen.append(_people(segmenter, faulty, classes, True))
            for one in objects:
                sample = _sample(rgb, one, seen, picture.source, picture.id)
                if sample is not None:
                    entries.append(_write(sample, pixels.write, pixels.tell()))
        watch(len(data.pictures), len(data.pictures))
    return entries


def _faulty(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """By a camera, every other one from far away and in poor light, where masks break off."""
    if rng.random() < 0.5:
        return camera(rgb, rng)
    height, width = rgb.shape[:2]
    part = rng.uniform(0.25, 0.6)
    smaller = max(8, int(width * part)), max(8, int(height * part))
    far = cv2.resize(rgb, smaller, interpolation=cv2.INTER_AREA)
    poor = camera(np.asarray(cv2.resize(far, (width, height)), np.uint8), rng)
    light = poor * rng.uniform(0.35, 1.0) + rng.uniform(0, 25)
    return np.asarray(np.clip(light, 0, 255), np.uint8)


def _sure(one: Object, wanted: set[int]) -> bool:
    return one.label in wanted and one.mask_weight >= 1.0 and not one.crowd and bool(one.polygons)


def _people(
    segmenter: Segmenter, rgb: NDArray[np.uint8], classes: Sequence[str], mirrored: bool
) -> list[Found]:
    found = segmenter(rgb)
    found = found[[name in classes for name in found.names]]
    below = 0.5 / found.mask_threshold
    above = 0.5 / (1 - found.mask_threshold)
    over = found.masks - found.mask_threshold
    centred = np.where(over < 0, over * below, over * above) + 0.5
    masks = np.rint(255 * centred).astype(np.uint8)
    boxes = np.array(found.paste_boxes, np.float32)
    if mirrored:
        masks = masks[:, :, ::-1]
        boxes[:, [0, 2]] = rgb.shape[1] - boxes[:, [2, 0]]
    return [Found(mask, box) for mask, box in zip(masks, boxes, strict=True)]


def _sample(
    rgb: NDArray[np.uint8], one: Object, seen: list[list[Found]], source: str, picture: int
) -> Sample | None:
    true = np.zeros(rgb.shape[:2], np.uint8)
    draw(one.polygons, true, 1)
    alike = [best for found in seen if (best := _matching(found, one.box, true)) is not None]
    if not alike:
        return None
    boxes = np.array([one.box, *(found.box for found in alike)], np.float32)
    x1, y1 = boxes[:, :2].min(axis=0)
    x2, y2 = boxes[:, 2:].max(axis=0)
    beside, above = _ROOM * (x2 - x1), _ROOM * (y2 - y1)
    left, top = max(0, int(x1 - beside)), max(0, int(y1 - above))
    right = min(rgb.shape[1], int(x2 + beside) + 1)
    bottom = min(rgb.shape[0], int(y2 + above) + 1)
    shift = np.array([left, top, left, top], np.float32)
    moved = tuple(Found(found.mask, found.box - shift) for found in alike)
    part = np.s_[top:bottom, left:right]
    return Sample(rgb[part], true[part], moved, source, picture)


def _matching(found: list[Found], box: Box, true: NDArray[np.uint8]) -> Found | None:
    """The one whose box is most like the true one, if it is the same object."""
    scores = [_alike(one.box, box) for one in found]
    if not scores or max(scores) < _SAME[0]:
        return None
    best = found[int(np.argmax(scores))]
    x1, y1, x2, y2 = best.box.tolist()
    if (x2 - x1) * (y2 - y1) < _LEAST**2:
        return None
    inside = pasted(best, true.shape) > 127
    union = np.count_nonzero(inside | (true > 0))
    return best if np.count_nonzero(inside & (true > 0)) >= _SAME[1] * union else None


def pasted(found: Found, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The mask at the pixels of its sample, uint8 [H, W]; 0 outside its box."""
    x1, y1, x2, y2 = found.box.tolist()
    rows, columns = found.mask.shape
    across, down = (x2 - x1) / columns, (y2 - y1) / rows
    matrix = np.array([[across, 0, x1 + across / 2 - 0.5], [0, down, y1 + down / 2 - 0.5]])
    return np.asarray(
        cv2.warpAffine(found.mask, matrix, (shape[1], shape[0]), flags=cv2.INTER_LINEAR), np.uint8
    )


def _alike(one: NDArray[np.float32], other: Box) -> float:
    """IoU of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, float(width)) * max(0.0, float(height))
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return shared / max(float(areas) - shared, 1e-6)


def _write(sample: Sample, write: Callable[[bytes], int], place: int) -> dict[str, object]:
    write(sample.rgb.tobytes())
    write(sample.true.tobytes())
    for found in sample.found:
        write(found.mask.tobytes())
    return {
        "place": place,
        "size": sample.true.shape,
        "cells": sample.found[0].mask.shape,
        "boxes": [found.box.tolist() for found in sample.found],
        "source": sample.source,
        "picture": sample.picture,
    }


class Samples:
    """The samples in a run's folder, and in those of further runs, read when they are asked for.

    Attributes:
        folders: where they lie.
        sources: of each.
        pictures: the number of each one's picture.
    """

    def __init__(self, *folders: Path) -> None:
        self.folders = folders
        self._entries: list[tuple[NDArray[np.uint8], dict[str, Any]]] = []
        for folder in folders:
            pixels = np.memmap(folder / PIXELS, np.uint8, "r")
            self._entries += [(pixels, one) for one in _index(folder)[1]]
        self.sources = [str(entry["source"]) for _, entry in self._entries]
        self.pictures = [int(entry["picture"]) for _, entry in self._entries]

    def __reduce__(self) -> tuple[type[Samples], tuple[Path, ...]]:
        # To another process goes where they are, not what they are.
        return Samples, self.folders

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        pixels, entry = self._entries[index]
        height, width = entry["size"]
        rows, columns = entry["cells"]
        parts = self._parts(
            pixels,
            entry["place"],
            [(height, width, 3), (height, width)] + [(rows, columns)] * len(entry["boxes"]),
        )
        rgb, true = next(parts), next(parts)
        found = tuple(
            Found(mask, np.array(box, np.float32))
            for mask, box in zip(parts, entry["boxes"], strict=True)
        )
        return Sample(rgb, true, found, entry["source"], entry["picture"])

    @staticmethod
    def _parts(
        pixels: NDArray[np.uint8], place: int, shapes: Sequence[tuple[int, ...]]
    ) -> Iterator[NDArray[np.uint8]]:
        for shape in shapes:
            size = int(np.prod(shape))
            yield pixels[place : place + size].reshape(shape)
            place += size
