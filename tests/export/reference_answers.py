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

from stream.instances import Instances


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
        masks: least IoU of pasted masks.
        masks_median: median over pairs.
    """

    expected: int = 0
    found: int = 0
    matched: int = 0
    box: float = 0.0
    score: float = 0.0
    soft: float = 0.0
    soft_worst: float = 0.0
    masks: float = 1.0
    masks_median: float = 1.0


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


def distance(
    answers: Path,
    ours: Callable[[NDArray[np.uint8]], Instances],
    images: list[NDArray[np.uint8]],
    *,
    first: int = 1,
    only: tuple[int, ...] = (0, 1, 2),
) -> Distance:
    """Compares answers with ours.

    Args:
        answers: a reference*.npz.
        ours: finds instances.
        images: the photographs.
        first: the original's number of our label 0.
        only: numbers of the photographs to look at.
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
            either = (pasted[index] | full[other]).sum()
            both = (pasted[index] & full[other]).sum()
            overlaps.append(float(both / either) if either else 1.0)
            if found.masks.shape[1:] == soft.shape[1:]:
                softs.append(float(np.abs(found.masks[index] - soft[other]).max()))
    if softs:
        total.soft, total.soft_worst = float(np.median(softs)), max(softs)
    if overlaps:
        total.masks, total.masks_median = min(overlaps), float(np.median(overlaps))
    # Shown by: pytest -m reference -rP
    print(answers.parent.name, answers.stem, total)
    return total


def _overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    inside = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    both = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inside
    return float(inside / both)
