"""Samples as the refiner sees them: cut out, changed, with masks as wrong as a model's may be."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.learned import ROOM, shape_for
from stream_models.training.faults import camera, colour
from stream_models.training.refiner.samples import Found, Sample, pasted

Image = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Change:
    """How far samples are changed. Chances are 0..1.

    Attributes:
        flip: the chance of a mirrored sample.
        turn: of one that is turned by at most `degrees`.
        room: the least and the most picture around a mask's box, as shares of its sides.
        wrong: of a mask with further errors.
        far: of a mask that is unsure of a large part.
        colour: of other light.
        camera: of a cheap camera.
    """

    flip: float = 0.5
    turn: float = 0.25
    degrees: float = 12.0
    room: tuple[float, float] = (0.0, 0.2)
    wrong: float = 0.6
    far: float = 0.35
    colour: float = 0.6
    camera: float = 0.25


@dataclasses.dataclass(frozen=True)
class Seen:
    """One input of the refiner and what is true there.

    Attributes:
        image: uint8 [H, W, 4], red, green, blue and the mask.
        true: uint8 [H, W], 255 where the object is, shares of it at its edge.
    """

    image: Image
    true: Image


def changed(
    sample: Sample, rng: np.random.Generator, change: Change, shape: tuple[int, int]
) -> Seen:
    """A sample as it might have been, seen in that height and width."""
    found = sample.found[int(rng.integers(len(sample.found)))]
    if rng.random() < change.wrong:
        found = worsened(found, rng)
    if rng.random() < change.far:
        found = unsure(found, shown(sample, found), rng)
    low, high = change.room
    beside = rng.uniform(low, high, 4)
    if rng.random() < change.turn:
        sample, found, mask = _turned(sample, found, float(rng.uniform(-1, 1)) * change.degrees)
    else:
        mask = None
    seen = cut(sample, found, beside, shape, mask)
    image, true = seen.image, seen.true
    if rng.random() < change.flip:
        image, true = image[:, ::-1], true[:, ::-1]
    rgb = np.ascontiguousarray(image[:, :, :3])
    if rng.random() < change.colour:
        rgb = colour(rgb, rng)
    if rng.random() < change.camera:
        rgb = camera(rgb, rng)
    return Seen(np.dstack([rgb, image[:, :, 3]]), np.ascontiguousarray(true))


def cut(
    sample: Sample,
    found: Found,
    beside: NDArray[np.float64] | None = None,
    shape: tuple[int, int] | None = None,
    mask: Image | None = None,
) -> Seen:
    """What the refiner sees of a sample.

    Args:
        sample: it.
        found: a mask of it.
        beside: float [4], how much picture there is left, above, right and below the mask's box,
            as shares of its sides; None for what the runtime takes.
        shape: height and width of what is seen; None for what the runtime takes.
        mask: the mask at the sample's pixels, where it is known.
    """
    seen = top, bottom, left, right = window(found, sample.true.shape, beside)
    height, width = shape or shape_for(seen)
    part = np.s_[top:bottom, left:right]
    small = height * width < 0.8 * (bottom - top) * (right - left)
    how = cv2.INTER_AREA if small else cv2.INTER_LINEAR
    rgb = cv2.resize(np.ascontiguousarray(sample.rgb[part]), (width, height), interpolation=how)
    true = cv2.resize(sample.true[part] * np.uint8(255), (width, height), interpolation=how)
    if mask is None:
        x, y = width / (right - left), height / (bottom - top)
        box = (found.box - np.array([left, top, left, top])) * np.array([x, y, x, y])
        mask = pasted(Found(found.mask, box.astype(np.float32)), (height, width))
    else:
        mask = np.asarray(cv2.resize(mask[part], (width, height), interpolation=how), np.uint8)
    return Seen(np.dstack([np.asarray(rgb, np.uint8), mask]), np.asarray(true, np.uint8))


def window(
    found: Found, size: tuple[int, ...], beside: NDArray[np.float64] | None = None
) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is seen."""
    x1, y1, x2, y2 = found.box.tolist()
    wide, high = x2 - x1, y2 - y1
    room = np.full(4, ROOM) if beside is None else beside
    left, top = max(0, int(x1 - room[0] * wide)), max(0, int(y1 - room[1] * high))
    right = min(size[1], int(x2 + room[2] * wide) + 1)
    bottom = min(size[0], int(y2 + room[3] * high) + 1)
    left, top = min(left, size[1] - 8), min(top, size[0] - 8)
    return top, max(bottom, top + 8), left, max(right, left + 8)


def _turned(sample: Sample, found: Found, degrees: float) -> tuple[Sample, Found, Image]:
    height, width = sample.true.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    rgb, true, mask = (
        np.asarray(
            cv2.warpAffine(one, matrix, (width, height), borderMode=border, flags=cv2.INTER_LINEAR),
            np.uint8,
        )
        for one, border in (
            (sample.rgb, cv2.BORDER_REFLECT_101),
            (sample.true, cv2.BORDER_REFLECT_101),
            (pasted(found, (height, width)), cv2.BORDER_REFLECT_101),
        )
    )
    x1, y1, x2, y2 = found.box.tolist()
    corners = np.array([[x1, y1, 1], [x2, y1, 1], [x1, y2, 1], [x2, y2, 1]]) @ matrix.T
    # Between the box's own sides and those that hold all of it turned.
    low, high = corners.min(axis=0), corners.max(axis=0)
    box = np.concatenate([low, high]).astype(np.float32)
    return dataclasses.replace(sample, rgb=rgb, true=true), Found(found.mask, box), mask


def worsened(found: Found, rng: np.random.Generator) -> Found:
    """A mask with errors of other kinds: bent, blurred, beside, parts missing or too much."""
    mask: NDArray[np.float32] = found.mask.astype(np.float32) / np.float32(255)
    rows, columns = mask.shape
    if rng.random() < 0.6:
        bend = rng.standard_normal((2, rows, columns)).astype(np.float32)
        spread = rng.uniform(3.0, 9.0)
        size = rng.uniform(0.3, 2.0)
        y, x = np.mgrid[:rows, :columns].astype(np.float32)
        across, down = (
            np.asarray(smooth / max(float(np.std(smooth)), 1e-6) * size, np.float32)
            for smooth in (cv2.GaussianBlur(one, (0, 0), spread) for one in bend)
        )
        mask = np.asarray(cv2.remap(mask, x + across, y + down, cv2.INTER_LINEAR), np.float32)
    for _ in range(int(rng.integers(0, 3)) if rng.random() < 0.5 else 0):
        mask = _blotted(mask, rng)
    if rng.random() < 0.3:
        part = int(rng.integers(12, 40))
        small = cv2.resize(mask, (part, part), interpolation=cv2.INTER_AREA)
        mask = np.asarray(cv2.resize(small, (columns, rows)), np.float32)
    elif rng.random() < 0.3:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.4, 1.8)), np.float32)
    if rng.random() < 0.4:
        gain, shift = np.float32(rng.uniform(0.6, 2.0)), np.float32(rng.uniform(-0.15, 0.15))
        mask = (mask - np.float32(0.5)) * gain + np.float32(0.5) + shift
    box = found.box.copy()
    if rng.random() < 0.4:
        sides = np.tile(box[2:] - box[:2], 2)
        box = (box + rng.normal(0, 0.02, 4) * sides).astype(np.float32)
    return Found(np.clip(mask * 255, 0, 255).astype(np.uint8), box)


def shown(sample: Sample, found: Found) -> NDArray[np.float32]:
    """What the picture shows in each cell of a mask, float32 [M, M, 3], red, green and blue."""
    x1, y1, x2, y2 = found.box.tolist()
    rows, columns = found.mask.shape
    across, down = (x2 - x1) / columns, (y2 - y1) / rows
    matrix = np.array([[across, 0, x1 + across / 2 - 0.5], [0, down, y1 + down / 2 - 0.5]])
    cells = cv2.warpAffine(
        sample.rgb,
        matrix,
        (columns, rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.GaussianBlur(cells, (0, 0), 0.7).astype(np.float32)


def unsure(found: Found, cells: NDArray[np.float32], rng: np.random.Generator) -> Found:
    """A mask that is unsure of a large part, or of what in it looks like one place.

    So models are of patterned sleeves, of what somebody holds, and of light behind an arm.

    Args:
        found: the mask.
        cells: what the picture shows there, from `shown`.
        rng: chooses.
    """
    mask: NDArray[np.float32] = found.mask.astype(np.float32) / np.float32(255)
    missing = rng.random() < 0.75
    places = np.argwhere(mask > 0.5 if missing else mask < 0.5)
    if not len(places):
        return found
    y, x = places[int(rng.integers(len(places)))].tolist()
    part = np.zeros_like(mask)
    axes = (int(rng.integers(5, 22)), int(rng.integers(5, 22)))
    cv2.ellipse(part, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    if rng.random() < 0.7:
        differs = np.square(cells - cells[y, x]).sum(axis=2)
        part *= np.exp(-differs / (2 * rng.uniform(25.0, 90.0) ** 2))
    part = np.asarray(cv2.GaussianBlur(part, (0, 0), rng.uniform(0.5, 3.0)), np.float32)
    share = np.float32(rng.uniform(0.4, 1.0))
    mask = mask * (1 - share * part) if missing else np.maximum(mask, share * part)
    return Found(np.clip(mask * 255, 0, 255).astype(np.uint8), found.box)


def _blotted(mask: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """With a part near its edge added or missing."""
    rows, columns = mask.shape
    unsure = np.argwhere(np.abs(mask - 0.5) < 0.35)
    if len(unsure) and rng.random() < 0.8:
        y, x = unsure[int(rng.integers(len(unsure)))]
    else:
        y, x = rng.integers(rows), rng.integers(columns)
    blot = np.zeros_like(mask)
    axes = (int(rng.integers(2, 11)), int(rng.integers(2, 11)))
    cv2.ellipse(blot, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    blot = np.asarray(cv2.GaussianBlur(blot, (0, 0), rng.uniform(0.5, 2.0)), np.float32)
    kept = np.asarray(mask * (1 - blot), np.float32)
    return kept if rng.random() < 0.5 else kept + blot * np.float32(rng.uniform(0.55, 1.0))
