"""Turning stored pictures into training pictures: geometry, pasted objects, camera faults."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from stream_models.training import faults
from stream_models.training.data import Object, Picture
from stream_models.training.polygons import Polygons, draw
from stream_models.training.targets import Targets

Image = NDArray[np.uint8]
Loader = Callable[[Picture], Image]

_SEEN = 0.2
"""An object of whose box the canvas shows less proves nothing. Cutting canvases out of pictures
leaves far more slivers of people at the edges than cameras do, and a network that learns them
takes any dark shape at an edge for somebody."""


_SOFT = 4
"""Pixels by which the soft edge of a pasted object reaches beyond it."""


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """How far pictures are changed. Chances are 0..1, scales relative to inference's own.

    A batch is made on one of `canvases` (height, width), multiples of 32 with about the same area:
    its pictures must share a size, and people come both standing and side by side. `turn` is the
    chance of any angle, `headless` that of a picture whose upper part, someone's head in it, is
    cut away: cameras see laps and hands, too.
    """

    canvases: tuple[tuple[int, int], ...] = ((352, 352), (288, 416), (416, 288))
    shortest: int = 384
    longest: int = 640
    scale: tuple[float, float] = (0.6, 1.5)
    whole: float = 0.3
    flip: float = 0.5
    rotate: float = 0.15
    degrees: float = 10.0
    turn: float = 0.1
    headless: float = 0.1
    paste: float = 0.3
    paste_things: float = 0.3
    colour: float = 0.7
    camera: float = 0.35


def inference_scale(width: int, height: int, shortest: int, longest: int) -> float:
    """The factor by which the runtime resizes a picture: shortest edge with a maximum."""
    return min(shortest / min(width, height), longest / max(width, height))


@dataclasses.dataclass
class _Placed:
    """An object on the canvas, before occlusion is settled."""

    label: int
    polygons: Polygons
    box: NDArray[np.float32]
    mask_weight: float
    crowd: bool
    layer: int


def _affine(
    picture: Picture, canvas: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    height, width = canvas
    if rng.random() < config.whole:
        scale = min(width / picture.width, height / picture.height) * rng.uniform(0.85, 1.1)
    else:
        low, high = np.log(config.scale[0]), np.log(config.scale[1])
        base = inference_scale(picture.width, picture.height, config.shortest, config.longest)
        scale = base * float(np.exp(rng.uniform(low, high)))
    turnable = all(item.polygons or item.crowd for item in picture.objects)
    angle = 0.0
    if turnable:
        kind = rng.random()
        if kind < config.turn:
            angle = np.deg2rad(rng.uniform(-180.0, 180.0))
        elif kind < config.turn + config.rotate:
            angle = np.deg2rad(rng.uniform(-config.degrees, config.degrees))
    mirror = -1.0 if rng.random() < config.flip else 1.0
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    matrix = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
    # Where the picture is larger than the canvas any part may be cut out; where it is smaller
    # it may lie anywhere on the canvas.
    room = np.array([width - picture.width * scale, height - picture.height * scale])
    centre = np.array([width, height]) / 2 + room * (rng.random(2) - 0.5)
    shift = centre - matrix @ np.array([picture.width / 2, picture.height / 2])
    return np.concatenate([matrix, shift[:, None]], axis=1).astype(np.float32)


def below_head(picture: Picture, rng: np.random.Generator) -> tuple[Picture, int]:
    """The lower part of a picture, from below the head of someone large in it, and where it begins.

    The whole picture, and 0, where nobody is tall enough.
    """
    people = [
        item.box
        for item in picture.objects
        if item.label == 0 and item.polygons and item.box[3] - item.box[1] > 0.5 * picture.height
    ]
    if not people:
        return picture, 0
    _, top, _, bottom = people[int(rng.integers(len(people)))]
    cut = int(top + rng.uniform(0.2, 0.6) * (bottom - top))
    if picture.height - cut < picture.height // 4:
        return picture, 0
    shift = np.array([0.0, -cut], np.float32)
    objects = []
    for item in picture.objects:
        x1, y1, x2, y2 = item.box
        if y2 - cut < 2:
            continue
        # Outlines above the edge would be drawn beside the picture on the canvas.
        rings = [
            np.maximum(ring + shift, [-np.inf, 0]).astype(np.float32) for ring in item.polygons
        ]
        box = (x1, max(0.0, y1 - cut), x2, y2 - cut)
        sliver = box[3] - box[1] < _SEEN * (y2 - y1)
        objects.append(
            dataclasses.replace(item, box=box, polygons=rings, crowd=item.crowd or sliver)
        )
    return dataclasses.replace(picture, height=picture.height - cut, objects=objects), cut


def _move(polygons: Polygons, matrix: NDArray[np.float32]) -> Polygons:
    return [ring @ matrix[:, :2].T + matrix[:, 2] for ring in polygons]


def _place(item: Object, matrix: NDArray[np.float32], layer: int) -> _Placed:
    x1, y1, x2, y2 = item.box
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
    polygons = _move(item.polygons, matrix)
    # A turned box is larger than its object; the outline is not.
    turned = abs(float(matrix[0, 1])) > 1e-6 and bool(polygons)
    moved = np.concatenate(polygons) if turned else _move([corners], matrix)[0]
    box = np.concatenate([moved.min(axis=0), moved.max(axis=0)])
    return _Placed(item.label, polygons, box, item.mask_weight, item.crowd, layer)


def _warp(
    image: Image, matrix: NDArray[np.float32], canvas: tuple[int, int], rng: np.random.Generator
) -> Image:
    height, width = canvas
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.6:
        # Bilinear sampling alone would alias; the runtime's resize averages.
        image = cv2.blur(image, (2, 2)).astype(np.uint8, copy=False)
    fill = rng.integers(0, 256, 3).tolist() if rng.random() < 0.5 else (0, 0, 0)
    out = cv2.warpAffine(
        image,
        matrix.astype(np.float64),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )
    return np.asarray(out, np.uint8)


@dataclasses.dataclass(frozen=True)
class Donor:
    """An object that may be pasted elsewhere, and the picture that it is cut from."""

    picture: Picture
    item: Object


@dataclasses.dataclass(frozen=True)
class Donors:
    """Objects to paste: those of class 0, mostly people, and other things."""

    people: list[Donor]
    things: list[Donor]


def find_donors(pictures: list[Picture]) -> Donors:
    """The objects of `pictures` whose masks are sure and large enough to paste."""
    people: list[Donor] = []
    things: list[Donor] = []
    for picture in pictures:
        somebody = [item.box for item in picture.objects if item.label == 0]
        for item in picture.objects:
            if item.mask_weight < 1.0:
                continue
            width, height = item.box[2] - item.box[0], item.box[3] - item.box[1]
            if item.label > 0:
                # The mask of a chair that someone sits on may hold a part of them.
                clear = picture.known[0] and all(_apart(item.box, box) for box in somebody)
                if clear and max(width / picture.width, height / picture.height) > 0.2:
                    things.append(Donor(picture, item))
            # In COCO's crowded scenes the other half of a person is often behind something.
            elif picture.source != "coco" and height > 0.35 * picture.height:
                people.append(Donor(picture, item))
    return Donors(people, things)


def _apart(box: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether less than a tenth of `box` (x1, y1, x2, y2) lies in `other`."""
    wide = min(box[2], other[2]) - max(box[0], other[0])
    high = min(box[3], other[3]) - max(box[1], other[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(wide, 0.0) * max(high, 0.0) < 0.1 * area


def _paste_person(
    base: Image, placed: list[_Placed], donor: Donor, image: Image, rng: np.random.Generator
) -> Image:
    """Stand someone of the picture `image` onto `base`; returns the new picture."""
    height, width = base.shape[:2]
    _, top, _, bottom = donor.item.box
    tall = float(np.exp(rng.uniform(np.log(0.3), np.log(1.15)))) * height
    scale = float(np.clip(tall / max(bottom - top, 1.0), 0.2, 2.5))
    # Someone cut off by the lower edge of their own picture stands on this one's lower edge.
    cut = bottom > donor.picture.height - 3
    foot = height + 2.0 if cut else rng.uniform(0.6, 1.15) * height
    centre = (rng.uniform(0.0, 1.0) * width, foot - scale * (bottom - top) / 2)
    return _paste(base, placed, donor.item, image, scale, centre, rng)


def _paste_thing(
    base: Image, placed: list[_Placed], donor: Donor, image: Image, rng: np.random.Generator
) -> Image:
    """Lay a thing of the picture `image` onto `base`; returns the new picture.

    Often an edge cuts it: the half of a chair that a camera sees is easily taken for somebody.
    """
    height, width = base.shape[:2]
    x1, y1, x2, y2 = donor.item.box
    size = float(np.exp(rng.uniform(np.log(0.25), np.log(1.3)))) * max(height, width)
    scale = float(np.clip(size / max(y2 - y1, x2 - x1, 1.0), 0.2, 3.0))
    where = rng.uniform(0.0, 1.0, 2)
    if rng.random() < 0.6:
        where[0] = rng.choice([-0.02, 1.02])
    if rng.random() < 0.4:
        where[1] = 1.02
    centre = (float(where[0]) * width, float(where[1]) * height)
    return _paste(base, placed, donor.item, image, scale, centre, rng)


def _paste(
    base: Image,
    placed: list[_Placed],
    item: Object,
    image: Image,
    scale: float,
    centre: tuple[float, float],
    rng: np.random.Generator,
) -> Image:
    """Put `item` of the picture `image` in front of everything on `base`, mirrored or not.

    Its box's middle comes to lie on `centre` (x, y). Returns the new picture, or `base` itself
    where hardly anything of the object would be seen.
    """
    height, width = base.shape[:2]
    x1, y1, x2, y2 = item.box
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    matrix = np.array(
        [
            [scale * mirror, 0.0, centre[0] - mirror * scale * (x1 + x2) / 2],
            [0.0, scale, centre[1] - scale * (y1 + y2) / 2],
        ],
        np.float32,
    )
    new = _place(item, matrix, 1 + max((other.layer for other in placed), default=0))
    # Only where it comes to lie: the whole canvas would take half of all time to make a picture.
    points = np.concatenate(new.polygons)
    low = np.maximum(np.floor(points.min(axis=0)) - _SOFT, 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0)) + _SOFT, [width, height]).astype(int)
    if (high <= low).any():
        return base
    alpha = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    draw([ring - low.astype(np.float32) for ring in new.polygons], alpha, 255)
    if cv2.countNonZero(alpha) < 200:
        return base
    matrix[:, 2] -= low
    soft = cv2.GaussianBlur(alpha, (0, 0), 0.8).astype(np.float32)[:, :, None] * (1.0 / 255.0)
    warped = _warp(image, matrix, (alpha.shape[0], alpha.shape[1]), rng)
    # Pasted objects take on a part of the scene's brightness, or they would give themselves away.
    inside = sum(cv2.mean(warped, alpha)[:3]) / 3.0
    share = 1.0 + 0.5 * (_brightness(base) - inside) / max(inside, 1.0) * rng.random()
    bright = np.minimum(warped.astype(np.float32) * max(share, 0.0), 255.0)
    placed.append(new)
    part = base[low[1] : high[1], low[0] : high[0]]
    out = base.copy()
    out[low[1] : high[1], low[0] : high[0]] = part + (bright - part) * soft
    return out


def _brightness(image: Image) -> float:
    return sum(cv2.mean(image)[:3]) / 3.0


def _settle(placed: list[_Placed], canvas: tuple[int, int], known: NDArray[np.bool_]) -> Targets:
    """Cut objects to what is visible on the canvas and note which hides which."""
    height, width = canvas
    limit = np.array([width, height, width, height], np.float32)
    boxes, labels, weights, polygons = [], [], [], []
    ignore: list[NDArray[np.float32]] = []
    hidden: list[list[Polygons]] = []
    picture_pasted = any(item.layer > 0 for item in placed)
    for item in placed:
        box = np.clip(item.box, 0.0, limit)
        whole = float(np.prod(item.box[2:] - item.box[:2]))
        if (box[2:] - box[:2]).min() < 2:
            continue
        shown = float(np.prod(box[2:] - box[:2])) / max(whole, 1.0)
        if item.crowd:
            ignore.append(box)
            continue
        inside = bool((item.box == box).all())
        if item.polygons and (not inside or picture_pasted):
            points = np.concatenate(item.polygons)
            low = np.clip(np.floor(points.min(axis=0)) - 1, 0, limit[:2]).astype(int)
            high = np.clip(np.ceil(points.max(axis=0)) + 1, 0, limit[:2]).astype(int)
            corner = low.astype(np.float32)
            mask = np.zeros((max(high[1] - low[1], 1), max(high[0] - low[0], 1)), np.uint8)
            draw([ring - corner for ring in item.polygons], mask, 1)
            before = cv2.countNonZero(mask)
            for front in placed:
                if front.layer > item.layer:
                    draw([ring - corner for ring in front.polygons], mask, 0)
            x, y, w, h = cv2.boundingRect(mask)
            if w == 0 or cv2.countNonZero(mask) < 0.25 * before:
                ignore.append(box)
                continue
            x, y = x + int(low[0]), y + int(low[1])
            box = np.array([x, y, x + w, y + h], np.float32)
        if (box[2:] - box[:2]).min() < 4 or shown < _SEEN:
            ignore.append(box)
            continue
        boxes.append(box)
        labels.append(item.label)
        weights.append(item.mask_weight if item.polygons else 0.0)
        polygons.append(item.polygons)
        hidden.append([front.polygons for front in placed if front.layer > item.layer])
    return Targets(
        torch.from_numpy(np.array(boxes, np.float32).reshape(-1, 4)),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(weights, dtype=torch.float32),
        polygons,
        hidden,
        torch.from_numpy(np.array(ignore, np.float32).reshape(-1, 4)),
        torch.from_numpy(known.copy()),
    )


def make(
    picture: Picture,
    load: Loader,
    donors: Donors,
    canvas: tuple[int, int],
    config: AugmentConfig,
    rng: np.random.Generator,
) -> tuple[Image, Targets]:
    """One training picture, uint8 RGB (H, W, 3) of the size `canvas` (H, W), and its targets.

    `load` returns a stored picture as RGB.
    """
    stored = load(picture)
    if rng.random() < config.headless:
        picture, cut = below_head(picture, rng)
        stored = stored[cut:]
    matrix = _affine(picture, canvas, config, rng)
    image = _warp(stored, matrix, canvas, rng)
    placed = [_place(item, matrix, 0) for item in picture.objects]
    # Things first: people sit in front of their chairs.
    for chance, paste, choice in (
        (config.paste_things, _paste_thing, donors.things),
        (config.paste, _paste_person, donors.people),
    ):
        if choice and rng.random() < chance:
            for _ in range(int(rng.integers(1, 3))):
                donor = choice[int(rng.integers(len(choice)))]
                image = paste(image, placed, donor, load(donor.picture), rng)
    targets = _settle(placed, canvas, picture.known)
    if rng.random() < config.colour:
        image = faults.colour(image, rng)
    if rng.random() < config.camera:
        image = faults.camera(image, rng)
    return image, targets
