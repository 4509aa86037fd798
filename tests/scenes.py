"""A textured thing that moves before a textured ground, with its true mask."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np

from stream.frame import Frame
from stream.instances import Instances

WIDTH, HEIGHT = 320, 240


def texture(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 20, 235, cv2.NORM_MINMAX)


BACKGROUND, OBJECT = texture(HEIGHT, WIDTH, 1), texture(100, 60, 2)
"""Noise before noise: harder than a person before a wall."""


def scene(x: float, y: float, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A textured ellipse over a textured background, and its true mask."""
    matrix = np.array([[scale, 0, x], [0, scale, y]], np.float32)
    oval = np.zeros_like(OBJECT)
    cv2.ellipse(oval, (30, 50), (28, 47), 0, 0, 360, 255, -1)
    thing = cv2.warpAffine(OBJECT, matrix, (WIDTH, HEIGHT))
    inside = cv2.warpAffine(oval, matrix, (WIDTH, HEIGHT)) > 127
    return np.where(inside, thing, BACKGROUND), inside


def instances_of(mask: np.ndarray, cells: int = 28) -> Instances:
    rows, columns = np.where(mask)
    x1, x2, y1, y2 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    part = mask[y1:y2, x1:x2].astype(np.float32)
    return Instances(
        boxes=np.array([[x1, y1, x2, y2]], np.float32),
        scores=np.array([0.9], np.float32),
        labels=np.array([0]),
        masks=cv2.resize(part, (cells, cells), interpolation=cv2.INTER_AREA)[None],
        class_names=("thing",),
        picture_size=mask.shape,
        track_ids=np.array([7]),
    )


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def frame_of(luma: np.ndarray, index: int = 0, pixel_format: str = "yuv420p") -> Frame:
    picture = av.VideoFrame.from_ndarray(luma, format="gray").reformat(format=pixel_format)
    return Frame(picture, index, index, Fraction(1, 30))
