"""Made clips with known tracks: cut-out people who walk, cross and hide in front of pictures.

What is drawn is a picture as a camera would give it, and who is where in it: the box of what can be
seen of each.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.bench.material import Labelled, LabelledPicture
from stream.errors import UsageError
from stream.tracking.association import LIVING

WIDTH, HEIGHT, RATE, SECONDS = 640, 480, 30, 5
_SEEN = 0.15
"""Of whom less can be seen than this share is not in view."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Cutout:
    """A person cut out of a photograph: RGB uint8 [H, W, 3], and alpha of 0 to 255 [H, W]."""

    picture: NDArray[np.uint8]
    alpha: NDArray[np.uint8]

    def scaled(self, share: float) -> Cutout:
        """The same larger or smaller."""
        return Cutout(
            np.asarray(cv2.resize(self.picture, None, fx=share, fy=share), np.uint8),
            np.asarray(cv2.resize(self.alpha, None, fx=share, fy=share), np.uint8),
        )


class Material:
    """Whole people to cut out, and pictures in which nobody is.

    Args:
        pictures: of which every second one is taken.
        half: 0 or 1, which of the two halves; what constants were chosen on (0) is not what they
            are measured on.

    Raises:
        UsageError: there are no such people or pictures.
    """

    def __init__(self, pictures: Sequence[LabelledPicture], half: int = 1) -> None:
        self._people: list[tuple[LabelledPicture, Labelled]] = []
        self._pictures: list[LabelledPicture] = []
        for picture in pictures:
            if picture.id % 2 != half:
                continue
            living = [one for one in picture.objects if one.name in LIVING]
            if not living and picture.width >= 480:
                self._pictures.append(picture)
            people = [one for one in living if one.name == "person"]
            self._people += [(picture, one) for one in people if _whole(one, picture, people)]
        if not (self._people and self._pictures):
            raise UsageError(
                "people are to be cut out and put in front of pictures: this set has "
                f"{len(self._people)} whole people and {len(self._pictures)} pictures of at least "
                "480 pixels without people or animals; name a set that has both with --pictures"
            )

    def cutout(self, rng: random.Random) -> Cutout:
        """One of the people."""
        picture, one = rng.choice(self._people)
        x1, y1, x2, y2 = (int(value) for value in one.box)
        part = np.s_[y1 : y2 + 1, x1 : x2 + 1]
        alpha = np.where(picture.mask(one)[part], 255, 0).astype(np.uint8)
        return Cutout(np.asarray(picture.rgb()[part], np.uint8), alpha)

    def picture(self, rng: random.Random, width: int = WIDTH) -> NDArray[np.uint8]:
        """One of the pictures, uint8 RGB [HEIGHT, width, 3]."""
        rgb = rng.choice(self._pictures).rgb()
        return np.asarray(cv2.resize(rgb, (width, HEIGHT)), np.uint8)


def _whole(one: Labelled, picture: LabelledPicture, people: Sequence[Labelled]) -> bool:
    """Whether a person stands there whole, alone and clear of the picture's edges."""
    x1, y1, x2, y2 = one.box
    width, height = x2 - x1, y2 - y1
    if not one.sure or min(x1, y1, picture.width - x2, picture.height - y2) < 2:
        return False
    alone = all(other.box[0] > x2 or other.box[2] < x1 for other in people if other is not one)
    slim = height >= 150 and 0.25 < width / height < 0.7
    return slim and alone and one.area >= 0.4 * width * height


def scene(
    material: Material, seed: int, every: int = 1
) -> Iterator[tuple[float, NDArray[np.uint8], dict[int, Box]]]:
    """A clip of three to five people: for each frame its time, RGB, and the box of each in view.

    They walk to and fro, stop and go on, or come nearer; those drawn later are in front. In every
    second scene a pillar hides whoever is behind it.

    Args:
        material: whom and what it shows.
        seed: the same gives the same clip.
        every: frames from one that is drawn to the next.
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
    for index in range(0, RATE * SECONDS, every):
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
        boxes: dict[int, Box] = {}
        for number, size in enumerate(sizes):
            row, column = np.nonzero(owner == number)
            if len(row) > max(200, _SEEN * size):
                left, top = int(column.min()), int(row.min())
                boxes[number] = (left, top, int(column.max()) + 1, int(row.max()) + 1)
        yield seconds, picture, boxes


def _bounced(x: float) -> float:
    span = WIDTH - 80
    way = (x - 40) % (2 * span)
    return 40 + (way if way < span else 2 * span - way)
