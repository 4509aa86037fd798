"""Tiny labelled pictures whose objects are known exactly, and what a reader should make of them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

SIZE = (80, 60)
NAMES = ("person", "box")
# By picture: class, x, y, width, height of a rectangle. The third picture is a negative.
TRUTH = {
    "a.jpg": [(0, 10, 5, 30, 40), (1, 50, 20, 20, 12)],
    "b.jpg": [(1, 4, 8, 16, 24)],
    "c.jpg": [],
}


def pictures(folder: Path, names=TRUTH, size=SIZE) -> None:
    """Grey pictures of `size` (width, height)."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((size[1], size[0], 3), 60 + index, np.uint8))


def ring(x, y, width, height):
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def runs(x, y, width, height, size=SIZE):
    """A rectangle as COCO's uncompressed run lengths."""
    mask = np.zeros((size[1], size[0]), np.int8)
    mask[y : y + height, x : x + width] = 1
    flat = np.concatenate([[0], mask.T.ravel(), [0]])
    edges = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return {"size": [size[1], size[0]], "counts": counts.tolist()}


def coco(prefix: str = "", truth=TRUTH, first: int = 1):
    """COCO's json of `truth`; file names begin with `prefix`, category ids with `first`."""
    images, annotations = [], []
    for index, (name, objects) in enumerate(truth.items(), 1):
        images.append(
            {"id": index, "file_name": prefix + name, "width": SIZE[0], "height": SIZE[1]}
        )
        for label, x, y, width, height in objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": label + first,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                    "segmentation": [ring(x, y, width, height)],
                }
            )
    categories = [{"id": index, "name": name} for index, name in enumerate(NAMES, first)]
    return {"images": images, "annotations": annotations, "categories": categories}


def write(file: Path, content) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def coco_folder(folder: Path, content=None) -> Path:
    """`instances.json` and `images/`."""
    pictures(folder / "images")
    write(folder / "instances.json", coco() if content is None else content)
    return folder


def found(data):
    """What was read, in the form of `TRUTH`, with ignored places as class "ignored"."""
    out = {}
    for picture in data.pictures:
        objects = []
        for item in picture.objects:
            x1, y1, x2, y2 = (round(value, 3) for value in item.box)
            kind = "ignored" if item.crowd else item.label
            objects.append((kind, x1, y1, x2 - x1, y2 - y1))
        out[picture.path.name] = objects
    return out


def areas(data):
    return [item.area for picture in data.pictures for item in picture.objects if not item.crowd]
