"""The photos that scikit-image brings, without loading it, which takes as long as many tests."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import cv2
import numpy as np


def astronaut() -> np.ndarray:
    """NASA's portrait of Eileen Collins, uint8 [512, 512, 3] in RGB."""
    return photo("astronaut.png")


def cat() -> np.ndarray:
    """A cat's face, uint8 [300, 451, 3] in RGB."""
    return photo("chelsea.png")


def coffee() -> np.ndarray:
    """A cup on a table in strong colours, uint8 [400, 600, 3] in RGB."""
    return photo("coffee.png")


def rocket() -> np.ndarray:
    """A rocket on its way to the pad, uint8 [427, 640, 3] in RGB."""
    return photo("rocket.jpg")


def photo(name: str) -> np.ndarray:
    """A photo by its file's name, as an array of the caller's own."""
    return _decoded(name).copy()


@cache
def _decoded(name: str) -> np.ndarray:
    described = importlib.util.find_spec("skimage")
    assert described is not None and described.origin is not None
    path = Path(described.origin).parent / "data" / name
    return cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
