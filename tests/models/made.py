"""A made-up training set: discs ("person") and bars ("bar") on noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CATEGORIES = [{"id": 7, "name": "person"}, {"id": 9, "name": "bar"}]


def coco_set(folder: Path, count: int, seed: int = 0) -> dict[str, Any]:
    """Write `count` pictures of 160x120 with COCO annotations to `folder`; returns the json."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for index in range(count):
        picture = rng.integers(0, 60, (120, 160, 3)).astype(np.uint8)
        for kind in (7, 9):
            x, y = int(rng.integers(30, 130)), int(rng.integers(30, 90))
            if kind == 7:
                radius = int(rng.integers(14, 28))
                angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
                ring = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1)
                colour = (230, 160, 120)
            else:
                ring = np.array(
                    [[x - 30, y - 4], [x + 30, y - 4], [x + 30, y + 4], [x - 30, y + 4]]
                )
                colour = (60, 220, 90)
            ring = np.clip(ring, 0, [160, 120])
            cv2.fillPoly(picture, [np.round(ring - 0.5).astype(np.int32)], colour)
            low, high = ring.min(axis=0), ring.max(axis=0)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": kind,
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "area": float(np.prod(high - low)),
                    "iscrowd": 0,
                    "segmentation": [ring.ravel().tolist()],
                }
            )
        name = f"{index:03d}.png"
        cv2.imwrite(str(folder / "images" / name), picture)
        images.append({"id": index + 1, "file_name": name, "width": 160, "height": 120})
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    write(folder, content)
    return content


def write(folder: Path, content: dict[str, Any]) -> None:
    (folder / "instances.json").write_text(json.dumps(content))
