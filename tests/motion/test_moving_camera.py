"""Footage whose true masks are known: photographs before a moving camera, while somebody passes.

    pytest -m soak -s tests/motion/test_moving_camera.py

prints the table of docs/live.md: what is worth its time in footage, each frame looked at, or every
third, perhaps more than once, and masks carried to the others.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import stream

WAYS: dict[str, dict[str, int]] = {
    "each frame, one look": {},
    "each frame, two looks": {"views": 2},
    "every third, one look": {"every": 3},
    "every third, two looks": {"every": 3, "views": 2},
    "every third, three looks": {"every": 3, "views": 3},
}
PICTURES, FRAMES, FPS = 36, 12, 25
SPEEDS = (2, 5, 9)
"""Pixels a frame by which the camera moves, picture after picture."""
_KEPT = 0.86
"""Of the photographs' sides, what the camera sees of them."""
_SMALLEST = 200
"""Pixels of a person below which nobody need be found."""

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass
class Scene:
    """A photograph with the masks of its people, and what need not be judged."""

    picture: Picture
    people: list[Picture]
    unknown: Picture


@dataclass
class Clip:
    frames: list[Picture] = field(default_factory=list)
    people: list[list[Mask]] = field(default_factory=list)
    unknown: list[Mask] = field(default_factory=list)


@dataclass
class Score:
    """Panoptic quality (Kirillov et al., 2019) of one class: pairs overlap by more than a half."""

    overlap: float = 0.0
    pairs: int = 0
    wrong: int = 0
    missed: int = 0
    seconds: float = 0.0

    @property
    def quality(self) -> float:
        return self.overlap / (self.pairs + (self.wrong + self.missed) / 2)

    def add(self, found: list[Mask], true: list[Mask], unknown: Mask) -> None:
        taken: set[int] = set()
        for mask in found:
            overlaps = [(mask & one).sum() / max(1, (mask | one).sum()) for one in true]
            best = int(np.argmax(overlaps)) if overlaps else -1
            # Of masks that overlap by more than a half there is one at most.
            if best >= 0 and overlaps[best] > 0.5 and best not in taken:
                taken.add(best)
                self.overlap += overlaps[best]
                self.pairs += 1
            elif (mask & unknown).sum() < mask.sum() / 2:
                self.wrong += 1
        self.missed += len(true) - len(taken)


def scenes(data: Path, source: str) -> list[Scene]:
    """Photographs of people whose masks are known."""
    told = json.loads((data / "val" / "instances.json").read_text())
    person = next(one["id"] for one in told["categories"] if one["name"] == "person")
    made = []
    for image in told["images"]:
        own = [
            one
            for one in told["annotations"]
            if one["image_id"] == image["id"] and one["category_id"] == person
        ]
        if image["source"] != source or not any(_known(one) for one in own):
            continue
        picture = cv2.imread(str(data / "val" / "images" / Path(image["file_name"]).name))
        assert picture is not None
        unknown = np.zeros(picture.shape[:2], np.uint8)
        people = []
        for one in own:
            if _known(one):
                people.append(_drawn(one["segmentation"], picture.shape[:2]))
            else:
                left, top, width, height = (round(edge) for edge in one["bbox"])
                unknown[top : top + height, left : left + width] = 1
        made.append(Scene(np.asarray(picture[..., ::-1], np.uint8), people, unknown))
    return made


def _known(annotation: dict[str, object]) -> bool:
    return bool(annotation.get("segmentation")) and not annotation.get("iscrowd")


def _drawn(polygons: list[list[float]], size: tuple[int, ...]) -> Picture:
    mask = np.zeros(size, np.uint8)
    for polygon in polygons:
        points = np.array(polygon, np.float32).reshape(-1, 2)
        cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    return mask


def filmed(scene: Scene, passer: Scene, speed: float, seed: int) -> Clip:
    """A scene before a camera that pans, turns and draws near; somebody else goes across it."""
    random = np.random.default_rng(seed)
    height, width = scene.picture.shape[:2]
    size = (round(width * _KEPT / 2) * 2, round(height * _KEPT / 2) * 2)
    angle = random.uniform(0, 2 * math.pi)
    pan = speed * np.array([math.cos(angle), math.sin(angle)])
    walker_height = passer.picture.shape[0]
    scale = random.uniform(0.4, 0.8) * size[1] / walker_height
    clip = Clip()
    for number in range(FRAMES):
        since = number - (FRAMES - 1) / 2
        seen = cv2.getRotationMatrix2D((width / 2, height / 2), 0.1 * since, 1 + 0.004 * since)
        seen[:, 2] += pan * since + random.normal(0, 0.4, 2)
        seen[:, 2] -= (np.array([width, height]) - size) / 2
        walks = np.array([[scale, 0, 0], [0, scale, size[1] - scale * walker_height]])
        walks[0, 2] = size[0] / 3 - 1.5 * speed * since
        picture = _moved(scene.picture, seen, size).astype(np.float32)
        before = _moved(
            passer.people[0].astype(np.float32), walks, size, border=cv2.BORDER_CONSTANT
        )
        walker = _moved(passer.picture, walks, size)
        picture += before[..., None] * (walker - picture)
        noisy = picture + random.normal(0, 2.5, picture.shape)
        clip.frames.append(np.clip(noisy, 0, 255).astype(np.uint8))
        front = before > 0.5
        behind = [(_moved(one, seen, size, cv2.INTER_NEAREST) > 0) & ~front for one in scene.people]
        clip.people.append([one for one in (front, *behind) if one.sum() > _SMALLEST])
        clip.unknown.append(_moved(scene.unknown, seen, size, cv2.INTER_NEAREST) > 0)
    return clip


def _moved(
    picture: NDArray[np.generic],
    place: NDArray[np.float64],
    size: tuple[int, int],
    interpolation: int = cv2.INTER_LINEAR,
    border: int = cv2.BORDER_REFLECT_101,
) -> NDArray[np.generic]:
    return cv2.warpAffine(picture, place, size, flags=interpolation, borderMode=border)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_third_frame_looked_at_twice_shows_as_much_as_each_looked_at_once(shared_data):
    backgrounds = scenes(shared_data, "coco")
    walkers = [one for one in scenes(shared_data, "clothing-co-parsing") if len(one.people) == 1]
    scores = {name: Score() for name in WAYS}
    for number, scene in enumerate(backgrounds[:PICTURES]):
        walker = walkers[number % len(walkers)]
        clip = filmed(scene, walker, SPEEDS[number % len(SPEEDS)], seed=number)
        for name, options in WAYS.items():
            begun = time.process_time()
            with stream.open(clip.frames, fps=FPS, classes="person", **options) as video:
                found = [frame.instances for frame in video]
            scores[name].seconds += time.process_time() - begun
            for instances, true, unknown in zip(found, clip.people, clip.unknown, strict=True):
                scores[name].add(list(instances.full_masks()), true, unknown)
    print("\n| footage | quality | precision | recall | overlap | seconds |")
    print("|---|---|---|---|---|---|")
    for name, one in scores.items():
        precision = one.pairs / (one.pairs + one.wrong)
        recall = one.pairs / (one.pairs + one.missed)
        print(
            f"| {name} | {one.quality:.3f} | {precision:.2f} | {recall:.2f} | "
            f"{one.overlap / one.pairs:.3f} | {one.seconds:.0f} |"
        )
    quality = {name: one.quality for name, one in scores.items()}
    assert quality["every third, one look"] > quality["each frame, one look"] - 0.03
    assert quality["every third, two looks"] > quality["each frame, one look"] - 0.01
    assert quality["each frame, two looks"] > quality["each frame, one look"]
