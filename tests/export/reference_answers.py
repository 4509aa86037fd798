"""The original systems' answers in shared/reference, and how near ours are."""

from __future__ import annotations

import lzma
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.inference.segmenter import Segmenter
from stream.instances import Instances
from stream.roi import paste_mask
from tests.export.lazily import lazily

Converted = lazily("stream_export.converters._request", "Converted")
Request = lazily("stream_export.converters._request", "Request")
save_model = lazily("stream_export.metadata", "save_model")


@dataclass
class Distance:
    """The worst over all pictures of a case.

    Attributes:
        expected: detections of the original.
        found: of ours.
        matched: pairs of the same class, IoU at least 0.9, scores within 0.02.
        box: largest difference of a coordinate, pixels.
        score: of scores.
        soft: median over pairs of the largest difference of a soft mask's cell.
        soft_worst: the largest over all pairs.
        masks: least IoU of pasted masks, over pairs that are not `moved`.
        moved: pairs of whole-pixel boxes whose rounding fell the other way.
        moved_masks: least IoU of these pairs' masks, ours pasted into the original's box.
    """

    expected: int = 0
    found: int = 0
    matched: int = 0
    box: float = 0.0
    score: float = 0.0
    soft: float = 0.0
    soft_worst: float = 0.0
    masks: float = 1.0
    moved: int = 0
    moved_masks: float = 1.0


def unpacked(packed: Path, folder: Path) -> Path:
    """A checkpoint without its .xz."""
    target = folder / packed.name.removesuffix(".xz")
    with lzma.open(packed) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    return target


def pictures(reference: Path) -> list[NDArray[np.uint8]]:
    """The three photographs, uint8 [H, W, 3] RGB."""
    files = sorted((reference / "inputs").glob("img*.png"))
    return [np.ascontiguousarray(cv2.imread(str(file))[:, :, ::-1]) for file in files]


def exported_distance(
    reference: Path,
    converted: Converted,
    system: str,
    request: Request,
    answers: Path,
    *,
    first: int = 1,
    whole: bool = False,
) -> Distance:
    """`distance` of a converted checkpoint, exported to a file beside it and run by the runtime.

    Args:
        reference: the folder with the photographs.
        converted: what the converter made of the request.
        system: the converter's name.
        request: names the checkpoint.
        answers: see `distance`, as for `first` and `whole`.
    """
    path = Path(request.checkpoint).with_name("a.onnx")
    save_model(converted.to_onnx(system, request), path)
    segmenter = Segmenter.load(path, "cpu", threshold=0.0)
    return distance(answers, segmenter, pictures(reference), first=first, whole=whole)


def distance(
    answers: Path,
    ours: Callable[[NDArray[np.uint8]], Instances],
    images: list[NDArray[np.uint8]],
    *,
    first: int = 1,
    only: tuple[int, ...] = (0, 1, 2),
    whole: bool = False,
) -> Distance:
    """Compares answers with ours.

    Args:
        answers: a reference*.npz.
        ours: finds instances.
        images: the photographs.
        first: the original's number of our label 0.
        only: numbers of the photographs to look at.
        whole: whether boxes of both are rounded to whole pixels.
    """
    archive = np.load(answers)
    total, softs, overlaps = Distance(), [], []
    for number in only:
        boxes, scores, classes, soft = (
            archive[f"img{number}_{name}"] for name in ("boxes", "scores", "classes", "soft")
        )
        if f"img{number}_boxes_norm_xyxy" in archive:
            # YOLACT's, before it cuts them to whole pixels.
            height, width = images[number].shape[:2]
            parts = np.clip(archive[f"img{number}_boxes_norm_xyxy"], 0, 1)
            boxes = parts * np.array([width, height, width, height], np.float32)
        shape = tuple(archive[f"img{number}_mask_shape"])
        packed = archive[f"img{number}_masks_packed"]
        full = np.unpackbits(packed)[: np.prod(shape)].reshape(shape).astype(bool)
        found = ours(images[number])
        pasted = found.full_masks()
        total.expected += len(boxes)
        total.found += len(found)
        free = set(range(len(boxes)))
        for index in range(len(found)):
            partners = [
                other
                for other in free
                if classes[other] == found.labels[index] + first
                and abs(scores[other] - found.scores[index]) <= 0.02
                and _overlap(found.boxes[index], boxes[other]) >= 0.9
            ]
            if not partners:
                continue
            other = min(partners, key=lambda one: abs(scores[one] - found.scores[index]))
            free.discard(other)
            total.matched += 1
            total.box = max(total.box, float(np.abs(found.boxes[index] - boxes[other]).max()))
            total.score = max(total.score, float(abs(found.scores[index] - scores[other])))
            if whole and np.abs(found.boxes[index] - boxes[other]).max() > 0.5:
                total.moved += 1
                inside = _pasted(found, index, boxes[other])
                total.moved_masks = min(total.moved_masks, _shared(inside, full[other]))
            else:
                overlaps.append(_shared(pasted[index], full[other]))
            apart = _soft_apart(found.masks[index], soft[other])
            if apart is not None:
                softs.append(apart)
    if softs:
        total.soft, total.soft_worst = float(np.median(softs)), max(softs)
    if overlaps:
        total.masks = min(overlaps)
    # Shown by: pytest -m reference -rP
    print(answers.parent.name, answers.stem, total)
    return total


def _pasted(found: Instances, index: int, box: NDArray[np.float32]) -> NDArray[np.bool_]:
    """A mask in another box, bool [H, W]."""
    height, width = found.picture_size
    full = np.zeros((height, width), np.bool_)
    pasted = paste_mask(
        found.masks[index], box.astype(np.float32), width, height, found.mask_threshold
    )
    if pasted is not None:
        (top, bottom, left, right), inside = pasted
        full[top:bottom, left:right] = inside
    return full


def _shared(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two full masks; 1 where both are empty."""
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else 1.0


def _soft_apart(ours: NDArray[np.float32], original: NDArray[np.float32]) -> float | None:
    """The largest difference of a cell; None where the two cannot be compared cell by cell.

    The Object Detection API's masks are exported with more cells: every so manieth is one of the
    original's, save for the outermost ring, which is changed so that masks end where they did.
    """
    cells, step = len(original), (len(ours) - 1) // (len(original) - 1)
    if step * (cells - 1) != len(ours) - 1:
        return None
    apart = np.abs(ours[::step, ::step] - original)
    return float((apart if step == 1 else apart[1:-1, 1:-1]).max())


def _overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    inside = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    both = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inside
    return float(inside / both)
