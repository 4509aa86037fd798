"""Real pictures in every format, and people to paint into them."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import av
import cv2
import numpy as np
import pytest

from stream.frame import Frame
from stream.instances import Instances
from tests import photos

FORMATS = (
    "yuv420p",
    "yuvj420p",
    "yuv422p",
    "yuv444p",
    "yuv440p",
    "yuv411p",
    "yuv410p",
    "yuv420p10le",
    "yuv422p12le",
    "yuv444p16le",
    "gray",
    "gray10le",
)


def _rounds() -> bool:
    values = np.arange(256, dtype=np.uint8)
    shares = np.ascontiguousarray(np.broadcast_to(values[:, None], (256, 256)))
    products = cv2.multiply(np.ascontiguousarray(shares.T), shares, scale=1 / 255)
    exact = np.outer(values.astype(int), values.astype(int)) / 255
    return np.array_equal(products, np.floor(exact + 0.5))


rounded_by_opencv = pytest.mark.skipif(
    not _rounds(), reason="OpenCV does not round here, as on ARM, so that it is off by a code"
)
"""Tests that compare with what OpenCV makes, to the last bit."""


@cache
def portrait() -> np.ndarray:
    return np.ascontiguousarray(photos.astronaut())


def astronaut(width: int = 200, height: int = 160, pixels: str = "yuv420p") -> av.VideoFrame:
    """A part of NASA's portrait of Eileen Collins, in the wanted size and format."""
    picture = av.VideoFrame(width, height, pixels)
    for plane, stored in zip(picture.planes, _planes(width, height, pixels), strict=True):
        plane.update(stored)
    return picture


@cache
def _planes(width: int, height: int, pixels: str) -> list[bytes]:
    """What its planes hold; scaling takes longer than most layers."""
    rgb = av.VideoFrame.from_ndarray(portrait(), format="rgb24")
    return [bytes(plane) for plane in rgb.reformat(width, height, pixels).planes]


def memory(picture: av.VideoFrame) -> list[np.ndarray]:
    """All samples of each plane with the padding at the ends of the lines, not copied."""
    kind = np.uint8 if picture.format.components[0].bits == 8 else np.uint16
    return [
        np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // np.dtype(kind).itemsize)
        for plane in picture.planes
    ]


def padding(picture: av.VideoFrame) -> list[np.ndarray]:
    """What lies behind the ends of each plane's lines, not copied."""
    return [
        full[:, plane.width :] for full, plane in zip(memory(picture), picture.planes, strict=True)
    ]


def samples(picture: av.VideoFrame) -> list[np.ndarray]:
    """A copy of each plane's samples, without padding."""
    return [
        full[:, : plane.width].copy()
        for full, plane in zip(memory(picture), picture.planes, strict=True)
    ]


def same(one: list[np.ndarray], other: list[np.ndarray], off: int = 0) -> bool:
    """Whether no sample differs by more than so many codes."""
    return all(
        a.shape == b.shape and np.abs(a.astype(np.int32) - b).max(initial=0) <= off
        for a, b in zip(one, other, strict=True)
    )


def figure(cells: int = 28) -> np.ndarray:
    """The soft mask of somebody who stands upright: a head on a body, float32 [cells, cells]."""
    y, x = (np.mgrid[:cells, :cells] + 0.5) / cells
    head = 1 - np.hypot((x - 0.5) / 0.2, (y - 0.15) / 0.15)
    body = 1 - np.maximum(np.abs(x - 0.5) / 0.4, np.abs(y - 0.65) / 0.35)
    return np.clip(0.5 + 2 * np.maximum(head, body), 0, 1).astype(np.float32)


def people(picture: av.VideoFrame, *boxes, mask=None, names=("person", "dog"), tracks=None):
    """Instances at boxes (x1, y1, x2, y2), each a person.

    Boxes may hold what is no number, which is refused where instances are made: it is written into
    them later, as a program may do.
    """
    count = len(boxes)
    found = Instances(
        boxes=np.zeros((count, 4), np.float32),
        scores=np.linspace(0.98, 0.5, count, dtype=np.float32),
        labels=np.zeros(count, np.int64),
        masks=np.stack([figure() if mask is None else mask] * count)
        if count
        else np.zeros((0, 28, 28), np.float32),
        class_names=tuple(names),
        picture_size=(picture.height, picture.width),
        track_ids=None if tracks is None else np.array(tracks, np.int64),
    )
    found.boxes[...] = np.array(boxes, np.float32).reshape(count, 4)
    return found


def frame(picture: av.VideoFrame, instances: Instances | None) -> Frame:
    return Frame(picture, 0, 0, Fraction(1, 25), instances=instances)
