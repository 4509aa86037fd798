"""Reading a training set: COCO json, or a folder of images with PNG instance masks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from faster_coco_eval.core import mask as mask_api
from numpy.typing import NDArray

from stream_models.training.polygons import Polygons, outline, scaled

# SAM 2's own estimate of a drawn mask's IoU, mapped to the weight of the mask loss: below the
# first value nothing is learnt from it, from the second on it counts in full.
_SURE = (0.6, 0.9)
# Larger pictures are shrunk to this longest side (pixels): the network sees at most 640.
LONGEST = 960
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclasses.dataclass
class Object:
    """One labelled object: box (x1, y1, x2, y2) in pixels of the stored picture, 0-based label.

    `area` in square pixels is that of the mask, or of the box where there is none. `mask_weight`
    is 0 where the mask is unknown; `crowd` marks an area that proves nothing.
    """

    box: tuple[float, float, float, float]
    label: int
    polygons: Polygons
    area: float
    mask_weight: float
    crowd: bool


@dataclasses.dataclass
class Picture:
    """One picture and what is known about it.

    `width` and `height` are those used from here on, at most `LONGEST`: larger files are shrunk
    when they are read. `known` (classes,) is true for the completely labelled classes.
    """

    id: int
    path: Path
    width: int
    height: int
    source: str
    objects: list[Object]
    known: NDArray[np.bool_]


@dataclasses.dataclass
class DataSet:
    """Pictures and the class names their labels index; `problems` are one sentence each."""

    names: tuple[str, ...]
    pictures: list[Picture]
    problems: list[str]


def read(folder: Path) -> DataSet:
    """Read `folder`: `instances.json` and `images/`, or pictures with masks in `masks/`.

    Raises FileNotFoundError with a sentence that says what was looked for.
    """
    annotations = folder / "instances.json"
    if annotations.is_file():
        return read_coco(annotations, folder / "images")
    if (folder / "masks").is_dir():
        return read_masks(folder / "images", folder / "masks")
    raise FileNotFoundError(
        f"{folder} holds neither instances.json (COCO format) nor a folder masks/ of PNG "
        "instance masks beside images/"
    )


def read_coco(annotations: Path, images: Path) -> DataSet:
    """Read COCO json. Unknown class ids, impossible boxes and empty masks become problems."""
    content = json.loads(annotations.read_text())
    categories = sorted(content["categories"], key=lambda entry: int(entry["id"]))
    names = tuple(str(entry["name"]) for entry in categories)
    label_of = {int(entry["id"]): index for index, entry in enumerate(categories)}
    problems: list[str] = []
    pictures: dict[int, Picture] = {}
    for entry in content["images"]:
        path = images / str(entry["file_name"])
        if int(entry["id"]) in pictures:
            problems.append(f"{path.name}: image id {entry['id']} is used twice")
            continue
        if not path.is_file():
            problems.append(f"{path.name}: the picture is missing from {images}")
            continue
        pictures[int(entry["id"])] = Picture(
            int(entry["id"]),
            path,
            int(entry["width"]),
            int(entry["height"]),
            str(entry.get("source", "")),
            [],
            _known(entry, names, label_of),
        )
    described = {int(entry["id"]): str(entry["file_name"]) for entry in content["images"]}
    for entry in content["annotations"]:
        image_id = int(entry["image_id"])
        if image_id not in described:
            problems.append(f"annotation {entry['id']}: no picture has the id {image_id}")
        elif image_id in pictures:
            _add_object(entry, pictures[image_id], label_of, problems)
    return DataSet(names, [_shrink(picture) for picture in pictures.values()], problems)


def _known(
    entry: dict[str, Any], names: tuple[str, ...], label_of: dict[int, int]
) -> NDArray[np.bool_]:
    known = np.ones(len(names), np.bool_)
    if entry.get("only_classes"):
        known[:] = False
        known[[label_of[int(i)] for i in entry["only_classes"] if int(i) in label_of]] = True
    person = names.index("person") if "person" in names else None
    if entry.get("only_person"):
        known[[index for index in range(len(names)) if index != person]] = False
    if entry.get("person_incomplete") and person is not None:
        known[person] = False
    return known


def _add_object(
    entry: dict[str, Any], picture: Picture, label_of: dict[int, int], problems: list[str]
) -> None:
    where = f"{picture.path.name}: annotation {entry.get('id', '?')}"
    category = int(entry["category_id"])
    if category not in label_of:
        problems.append(f"{where} has category id {category}, which is not among the categories")
        return
    x, y, width, height = (float(value) for value in entry["bbox"])
    if width <= 0 or height <= 0:
        problems.append(f"{where} has an empty box")
        return
    box = (x, y, x + width, y + height)
    slack = 2.0
    if min(box[:2]) < -slack or box[2] > picture.width + slack or box[3] > picture.height + slack:
        problems.append(
            f"{where} has a box that leaves the picture ({picture.width}x{picture.height})"
        )
        return
    polygons = _polygons(entry.get("segmentation"), picture)
    if polygons == []:
        problems.append(f"{where} has an empty mask")
        return
    crowd = bool(entry.get("iscrowd", 0))
    weight = 1.0 if polygons and not entry.get("box_only") and not crowd else 0.0
    if weight and entry.get("mask_by") == "sam2":
        score = float(entry.get("mask_score", 0.0))
        weight = float(np.clip((score - _SURE[0]) / (_SURE[1] - _SURE[0]), 0.0, 1.0))
    area = float(entry.get("area", width * height))
    picture.objects.append(Object(box, label_of[category], polygons or [], area, weight, crowd))


def _polygons(segmentation: Any, picture: Picture) -> Polygons | None:
    """COCO's polygons or run-length mask as polygons; None where there is no mask at all."""
    if segmentation is None:
        return None
    if isinstance(segmentation, list):
        rings: Polygons = []
        for flat in segmentation:
            if len(flat) >= 6:
                rings.append(np.asarray(flat, np.float32).reshape(-1, 2))
        return rings
    coded = segmentation
    if isinstance(segmentation["counts"], list):
        coded = mask_api.frPyObjects(segmentation, picture.height, picture.width)
    return outline(np.asarray(mask_api.decode(coded), np.uint8))


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
    width, height = round(picture.width * factor), round(picture.height * factor)
    return dataclasses.replace(picture, width=width, height=height)


def read_masks(images: Path, masks: Path) -> DataSet:
    """Read pictures with instance masks of the same stem: PNG, 0 background, k the k-th person.

    The mask of `a.jpg` is `masks/a.png`, 8 or 16 bits, one channel. Every object is a person, and
    every person in a picture must have a mask.
    """
    problems: list[str] = []
    pictures: list[Picture] = []
    paths = sorted(path for path in images.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    for mask in sorted(masks.glob("*.png")):
        if not any(path.stem == mask.stem for path in paths):
            problems.append(f"{mask.name}: no picture of that name in {images}")
    for number, path in enumerate(paths, 1):
        mask_path = masks / f"{path.stem}.png"
        ids = cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED) if mask_path.is_file() else None
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            problems.append(f"{path.name}: the picture cannot be read")
            continue
        if ids is None:
            problems.append(f"{path.name}: its mask {mask_path.name} is missing or unreadable")
            continue
        height, width = picture.shape[:2]
        if ids.ndim != 2 or ids.shape != (height, width):
            problems.append(
                f"{mask_path.name}: shape {ids.shape} is not the picture's ({height}, {width})"
            )
            continue
        objects = _objects_from_ids(np.asarray(ids, np.int64))
        if not objects:
            problems.append(f"{mask_path.name}: the mask is empty")
            continue
        known = np.ones(1, np.bool_)
        pictures.append(_shrink(Picture(number, path, width, height, "masks", objects, known)))
    return DataSet(("person",), pictures, problems)


def _objects_from_ids(ids: NDArray[np.int64]) -> list[Object]:
    objects = []
    for value in np.unique(ids):
        if value == 0:
            continue
        mask = (ids == value).astype(np.uint8)
        rings = outline(mask)
        if rings:
            points = np.concatenate(rings)
            low, high = points.min(axis=0) - 0.5, points.max(axis=0) + 0.5
            box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
            objects.append(Object(box, 0, rings, float(mask.sum()), 1.0, False))
    return objects
