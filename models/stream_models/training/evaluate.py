"""COCO accuracy of a detector on a labelled set, per class, per size and per source."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as mask_api
from numpy.typing import NDArray

from stream.inference.contract import Resize
from stream.instances import Instances
from stream.roi import paste_mask
from stream.wording.words import called
from stream_models.detect import DetectConfig, Detections, detect
from stream_models.network import MaskRCNN
from stream_models.training.data import PERSON, DataSet, class_among
from stream_models.training.picture_files import load_picture
from stream_models.training.products import quick_products

Image = NDArray[np.uint8]
# A detector: picture uint8 RGB (H, W, 3) to boxes in its pixels, scores, labels, soft masks, and
# the boxes in whose frame these lie.
Found = tuple[
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.int64],
    NDArray[np.float32],
    NDArray[np.float32],
]
Detector = Callable[[Image], Found]

MASK_THRESHOLD = 0.4
"""A cell above this is the object: at 0.5 silhouettes come out a little small. On validation people
0.4 was worth 0.005 of mask AP on COCO's, 0.004 on its large ones, and cost 0.002 on portraits."""

# COCO's figures and the areas in square pixels of the objects that each is about.
_SIZES = {
    "AP": (0.0, 1e10),
    "AP50": (0.0, 1e10),
    "AP75": (0.0, 1e10),
    "APs": (0.0, 32.0**2),
    "APm": (32.0**2, 96.0**2),
    "APl": (96.0**2, 1e10),
}
FIGURES = tuple(_SIZES)
# With fewer than these, AP moves by several points with a single object.
_ENOUGH_PICTURES, _ENOUGH_OBJECTS = 20, 50
_NAMED = 8
RESIZE = Resize(
    mode="shortest_edge",
    shortest=384,
    longest=626,
    multiple_of=32,
    interpolation="area",
    rounding="round",
)


def fit(image: Image, resize: Resize) -> tuple[Image, tuple[float, float]]:
    """Resize and pad as `resize` says; also returns picture pixels per input pixel, x and y."""
    place = resize.geometry(image.shape[1], image.shape[0])
    shrinks = place.content[0] < image.shape[1]
    method = cv2.INTER_AREA if resize.interpolation == "area" and shrinks else cv2.INTER_LINEAR
    out = np.full((place.size[1], place.size[0], 3), resize.padding, np.uint8)
    x, y = place.offset
    out[y : y + place.content[1], x : x + place.content[0]] = cv2.resize(
        image, place.content, interpolation=method
    )
    return out, place.scale


def network_detector(network: MaskRCNN, config: DetectConfig, rounded: bool) -> Detector:
    """A detector that runs the network in PyTorch, its products `rounded` where that is quicker."""
    device = next(network.parameters()).device

    def run(image: Image) -> Found:
        fitted, (scale_x, scale_y) = fit(image, RESIZE)
        tensor = torch.from_numpy(fitted).to(device)
        with quick_products(device, rounded):
            found: Detections = detect(network, tensor, config)
        scale = np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        return (
            found.boxes.float().cpu().numpy() * scale,
            found.scores.cpu().numpy(),
            found.labels.cpu().numpy(),
            found.masks.cpu().numpy(),
            found.mask_boxes.float().cpu().numpy() * scale,
        )

    return run


def runtime_detector(segmenter: Callable[[Image], Instances]) -> Detector:
    """The same through a `Segmenter`, as users run it; its threshold decides what is judged."""

    def run(image: Image) -> Found:
        found = segmenter(image)
        return found.boxes, found.scores, found.labels, found.masks, found.paste_boxes

    return run


def paste(mask: NDArray[np.float32], box: NDArray[np.float32], height: int, width: int) -> Image:
    """A soft mask (M, M) in the frame of `box` as a full-size mask (H, W) of 0 and 1.

    Where the runtime paints it, so that what is judged is what is seen.
    """
    out = np.zeros((height, width), np.uint8)
    pasted = paste_mask(mask, box, width, height, MASK_THRESHOLD)
    if pasted is not None:
        (top, bottom, left, right), inside = pasted
        out[top:bottom, left:right] = inside
    return out


@dataclasses.dataclass
class Report:
    """Accuracy by name: `groups` of pictures by masks of `subject`, `classes` by box AP50.

    A figure is -1 where no object is of its kind. `pictures` and `objects` (of `subject`) are how
    many it was judged by.
    """

    groups: dict[str, dict[str, float]]
    classes: dict[str, float]
    subject: str = "person"
    pictures: int = 0
    objects: int = 0

    def line(self) -> str:
        """The figures of the subject in one line; a dash where there is nothing to judge by."""
        parts = []
        for name, figures in self.groups.items():
            told = (
                f"{key} {figures[key]:.3f}" if figures[key] >= 0 else f"{key} -" for key in FIGURES
            )
            parts.append(f"{name}: " + " ".join(told))
        return "; ".join(parts)

    def of_classes(self) -> str | None:
        """A line about single classes, the worst first; None where there is one alone."""
        if len(self.classes) < 2:
            return None
        worst = sorted(self.classes.items(), key=lambda one: one[1])
        told = [f"{called(name)} {value:.3f}" for name, value in worst[:_NAMED]]
        more = [f"and {len(worst) - _NAMED} more"] if len(worst) > _NAMED else []
        return f"AP is of the masks of {self.subject!r}; box AP50: {', '.join([*told, *more])}"

    def caution(self) -> str | None:
        """A sentence where so little was judged by that the figures say little."""
        if self.pictures >= _ENOUGH_PICTURES and self.objects >= _ENOUGH_OBJECTS:
            return None
        pictures = "1 picture" if self.pictures == 1 else f"{self.pictures} pictures"
        objects = f"{self.objects} with masks of {self.subject!r}"
        return (
            f"judged by {pictures} ({objects}): so few say little, one object more or less moves "
            f"the figures far (a dash: none of that size); {_ENOUGH_PICTURES} pictures with "
            f"{_ENOUGH_OBJECTS} objects or more, best as a set of their own (--val), say more"
        )


def evaluate(
    detector: Detector,
    names: tuple[str, ...],
    data: DataSet,
    classes: bool = False,
) -> Report:
    """Run `detector`, whose labels index `names`, over a labelled set.

    Pictures are grouped by whether their source is `coco`; a set without sources is one group,
    `all`. `classes` adds the box AP50 of every class, on the pictures that are labelled in full.
    """
    ids = {name: index + 1 for index, name in enumerate(data.names)}
    theirs = [class_among(name, data.names) for name in names]
    results: list[dict[str, Any]] = []
    for picture in data.pictures:
        image = load_picture(picture)
        for box, score, label, mask, frame in zip(*detector(image), strict=True):
            place = theirs[label]
            if place is not None:
                results.append(
                    {
                        "image_id": picture.id,
                        "category_id": place + 1,
                        "score": float(score),
                        "bbox": _corner_size(box.tolist()),
                        "segmentation": _encode(paste(mask, frame, *image.shape[:2])),
                    }
                )
    return _score(data, ids, results, classes)


def _corner_size(box: list[float] | tuple[float, ...]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _encode(mask: Image) -> dict[str, Any]:
    coded: dict[str, Any] = mask_api.encode(np.asfortranarray(mask))
    return coded


def _truth(data: DataSet, ids: dict[str, int]) -> dict[str, Any]:
    """The set in COCO's own form."""
    annotations: list[dict[str, Any]] = []
    for picture in data.pictures:
        for item in picture.objects:
            x, y, w, h = _corner_size(item.box)
            rings = [ring.ravel().tolist() for ring in item.polygons]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": picture.id,
                    # 0 for a place that proves nothing about any class.
                    "category_id": item.label + 1,
                    "bbox": [x, y, w, h],
                    "area": item.area,
                    "iscrowd": int(item.crowd),
                    # An object without a mask can neither be hit nor missed by a mask.
                    "maskless": not rings,
                    "segmentation": rings or [[x, y, x + w, y, x + w, y + h, x, y + h]],
                }
            )
    return {
        "images": [{"id": p.id, "width": p.width, "height": p.height} for p in data.pictures],
        "categories": [{"id": index, "name": name} for name, index in ids.items()],
        "annotations": annotations,
    }


def _score(
    data: DataSet, ids: dict[str, int], results: list[dict[str, Any]], classes: bool
) -> Report:
    truth = _truth(data, ids)
    masked = Counter(
        a["category_id"] for a in truth["annotations"] if not a["iscrowd"] and not a["maskless"]
    )
    place = class_among(PERSON, data.names)
    person = 0 if place is None else place + 1
    main = person if masked[person] else next((i for i in ids.values() if masked[i]), person or 1)
    subject = next((name for name, index in ids.items() if index == main), "person")
    report = Report({}, {}, subject, len(data.pictures), masked[main])
    groups: dict[str, set[int]] = {}
    sourced = any(picture.source == "coco" for picture in data.pictures)
    for picture in data.pictures:
        name = ("coco" if picture.source == "coco" else "other") if sourced else "all"
        groups.setdefault(name, set()).add(picture.id)
    logging.getLogger("faster_coco_eval").setLevel(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):
        for name, images in groups.items():
            report.groups[name] = _figures(truth, results, "segm", images, main)
        if classes:
            full = {picture.id for picture in data.pictures if picture.known.all()}
            present = {
                a["category_id"]
                for a in truth["annotations"]
                if a["image_id"] in full and not a["iscrowd"]
            }
            for name, category in ids.items():
                if category in present:
                    figures = _figures(truth, results, "bbox", full, category)
                    report.classes[name] = figures["AP50"]
    return report


def _figures(
    truth: dict[str, Any],
    results: list[dict[str, Any]],
    kind: str,
    images: set[int],
    category: int,
) -> dict[str, float]:
    mine = [r for r in results if r["image_id"] in images and r["category_id"] == category]
    annotations = [
        {**a, "category_id": category, "iscrowd": int(a["iscrowd"] or a["maskless"])}
        if kind == "segm"
        else {**a, "category_id": category}
        for a in truth["annotations"]
        if a["image_id"] in images and a["category_id"] in (category, 0)
    ]
    if not mine:
        areas = [a["area"] for a in annotations if not a["iscrowd"]]
        return {
            key: 0.0 if any(low <= area <= high for area in areas) else -1.0
            for key, (low, high) in _SIZES.items()
        }
    ground = COCO({**truth, "annotations": annotations})
    run = COCOeval_faster(ground, ground.loadRes([dict(r) for r in mine]), kind)
    run.params.imgIds = sorted(images)
    run.params.catIds = [category]
    run.evaluate()
    run.accumulate()
    run.summarize()
    return dict(zip(FIGURES, (float(value) for value in run.stats[:6]), strict=True))
