"""Made clips with known tracks: cut-out people who walk, cross and hide in front of pictures.

People and pictures come from the folder shared/data where it is beside the checkout. What is drawn
is a picture as a camera would give it, and who is where in it: the box of what can be seen of each.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, RATE, SECONDS = 640, 480, 30, 5
_LIVING = {"person", "dog", "cat", "horse", "cow", "sheep", "bird", "bear", "elephant"}
_SEEN = 0.15
"""Of whom less can be seen than this share is not in view."""


@dataclass(frozen=True)
class Cutout:
    """A person cut out of a photograph: BGR, and alpha of 0 to 255."""

    picture: NDArray[np.uint8]
    alpha: NDArray[np.uint8]

    def scaled(self, share: float) -> Cutout:
        return Cutout(
            np.asarray(cv2.resize(self.picture, None, fx=share, fy=share), np.uint8),
            np.asarray(cv2.resize(self.alpha, None, fx=share, fy=share), np.uint8),
        )


class Material:
    """Whole people to cut out, and pictures in which nobody is, of one half of the data.

    Args:
        folder: shared/data.
        half: 0 or 1; what constants were chosen on is not what they are measured on.
    """

    def __init__(self, folder: Path, half: int) -> None:
        self._people: list[tuple[Path, dict]] = []
        self._pictures: list[Path] = []
        for split in ("val", "train"):
            known = json.loads((folder / split / "instances.json").read_text())
            names = {one["id"]: one["name"] for one in known["categories"]}
            things: dict[int, list[dict]] = {}
            for one in known["annotations"]:
                things.setdefault(one["image_id"], []).append(one)
            for image in known["images"]:
                if image["id"] % 2 != half:
                    continue
                path = folder / split / "images" / image["file_name"]
                found = things.get(image["id"], [])
                living = [one for one in found if names[one["category_id"]] in _LIVING]
                wide = image["source"] == "coco" and image["width"] >= 480
                if split == "val" and wide and not living:
                    self._pictures.append(path)
                people = [one for one in living if names[one["category_id"]] == "person"]
                self._people += [(path, one) for one in people if _whole(one, image, people)]

    def cutout(self, rng: random.Random) -> Cutout:
        path, one = rng.choice(self._people)
        picture = cv2.imread(str(path))
        alpha = np.zeros(picture.shape[:2], np.uint8)
        for ring in one["segmentation"]:
            points = np.array(ring).reshape(-1, 2).round().astype(np.int32)
            cv2.fillPoly(alpha, [points], 255)
        x, y, width, height = (int(value) for value in one["bbox"])
        part = np.s_[y : y + height + 1, x : x + width + 1]
        return Cutout(np.asarray(picture[part], np.uint8), alpha[part])

    def picture(self, rng: random.Random, width: int = WIDTH) -> NDArray[np.uint8]:
        return np.asarray(
            cv2.resize(cv2.imread(str(rng.choice(self._pictures))), (width, HEIGHT)), np.uint8
        )


def _whole(one: dict, image: dict, people: Sequence[dict]) -> bool:
    """Whether a person stands there whole, alone and clear of the picture's edges."""
    x, y, width, height = one["bbox"]
    if one.get("iscrowd") or not isinstance(one.get("segmentation"), list):
        return False
    beside = min(x, y, image["width"] - x - width, image["height"] - y - height)
    if beside < 2 or one["area"] < 0.4 * width * height:
        return False
    others = (other["bbox"] for other in people if other is not one)
    alone = all(bx > x + width or bx + bw < x for bx, _, bw, _ in others)
    return height >= 150 and 0.25 < width / height < 0.7 and alone


def scene(
    material: Material, seed: int
) -> Iterator[tuple[float, NDArray[np.uint8], dict[int, tuple[int, int, int, int]]]]:
    """A clip of three to five people: for each frame its time, RGB, and the box of each in view.

    They walk to and fro, stop and go on, or come nearer; those drawn later are in front. In every
    second scene a pillar hides whoever is behind it.
    """
    rng = random.Random(seed)
    behind = material.picture(rng)
    people = []
    for number in range(3 + seed % 3):
        one = material.cutout(rng)
        tall = rng.randint(170, 300)
        one = one.scaled(tall / len(one.picture))
        way = ("across", "to and fro", "stops", "nearer")[(number + seed) % 4]
        speed = rng.choice([-1, 1]) * rng.uniform(60, 220)
        start, y = rng.uniform(60, WIDTH - 60), HEIGHT - tall * rng.uniform(0.45, 0.75)
        people.append((one, way, start, speed, y, rng.uniform(0, 6)))
    pillar = None
    if seed % 2:
        left = rng.randint(200, 400)
        wide = rng.randint(60, 110)
        pillar = (left, left + wide, material.picture(rng, wide))
    for index in range(RATE * SECONDS):
        seconds = index / RATE
        picture = behind.copy()
        owner = np.full((HEIGHT, WIDTH), -1)
        sizes = []
        for number, (one, way, start, speed, y, phase) in enumerate(people):
            scale, x = 1.0, start
            if way == "across":
                x = _bounced(start + speed * seconds)
            elif way == "to and fro":
                x = WIDTH / 2 + (WIDTH / 2 - 60) * np.sin(speed / 120 * seconds + phase)
            elif way == "stops":
                x = _bounced(start + speed * (min(seconds, 1.5) + max(0.0, seconds - 3)))
            else:
                x, scale = start + 30 * np.sin(seconds + phase), 0.8 + 0.08 * seconds
            shown = one.scaled(scale)
            rows, columns = shown.alpha.shape
            place = np.array(
                [[1, 0, x - columns / 2], [0, 1, y + 4 * np.sin(9 * seconds + phase) - rows / 2]]
            )
            alpha = cv2.warpAffine(shown.alpha, place, (WIDTH, HEIGHT)).astype(np.float32) / 255
            there = cv2.warpAffine(shown.picture, place, (WIDTH, HEIGHT))
            weight = alpha[..., None]
            picture = (picture * (1 - weight) + there * weight).astype(np.uint8)
            owner[alpha > 0.5] = number
            sizes.append(np.count_nonzero(shown.alpha > 127))
        if pillar is not None:
            picture[:, pillar[0] : pillar[1]] = pillar[2]
            owner[:, pillar[0] : pillar[1]] = -1
        boxes = {}
        for number, size in enumerate(sizes):
            rows, columns = np.nonzero(owner == number)
            if len(rows) > max(200, _SEEN * size):
                boxes[number] = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        yield seconds, np.ascontiguousarray(picture[..., ::-1]), boxes


def _bounced(x: float) -> float:
    span = WIDTH - 80
    way = (x - 40) % (2 * span)
    return 40 + (way if way < span else 2 * span - way)
