"""Masks drawn to where objects end by a small network that learnt it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.encoding import Encoding
from stream.compositing.planes import Planes
from stream.compositing.refine import FINER, Region, around, look
from stream.compositing.soft import EDGE
from stream.errors import ModelError, first_line
from stream.pictures.pixels import rgb_to_yuv
from stream.roi import Window
from stream.system.runtime_words import failure_of
from stream.system.scarcity import scarcity

if TYPE_CHECKING:
    from stream.inference.onnx_runtime import InferenceSession

SHAPES = ((320, 160), (256, 192), (224, 224), (192, 256), (160, 320))
"""Heights and widths that an object is seen in, about as many pixels each."""
SMALL = ((160, 96), (128, 96), (128, 128), (96, 128), (96, 160))
"""The same for objects of few pixels."""
ROOM = 0.08
"""How much picture is seen around a mask's box, as a share of its sides."""
FILE = Path("refiners") / "default.onnx"
"""Where it lies in the package of the bundled model."""
INPUT, OUTPUT = "seen", "mask"
VERSION, CLASSES = "refiner.version", "refiner.classes"
"""What the file says of itself: the version of what is asked of it, and of which classes it learnt,
as JSON."""
_VERSION = "1"
REACH = 8
"""Pixels of what is seen by which an edge may move."""
MOST = 2
"""Objects of a frame that are drawn so; the others are left to the filter, which costs less."""
_SMALL = 20_000
"""Pixels of a part of the picture below which it is seen in `SMALL`."""
_WANTED = {
    INPUT: ("tensor(uint8)", [1, None, None, 4]),
    OUTPUT: ("tensor(uint8)", [1, None, None]),
}


def shape_for(window: Window) -> tuple[int, int]:
    """The height and width in which a part of a picture is seen.

    Returns:
        That of `SHAPES` which changes the part's proportions least, or of `SMALL` where it has few
        pixels.
    """
    top, bottom, left, right = window
    height, width = bottom - top, right - left
    shapes = SMALL if height * width < _SMALL else SHAPES
    wanted = math.log(height / width)
    return min(shapes, key=lambda shape: abs(math.log(shape[0] / shape[1]) - wanted))


class Learned:
    """A refiner's file that is open. Any number of threads may use it at once.

    Attributes:
        classes: names of the classes whose masks it learnt to draw.
    """

    def __init__(self, file: Path) -> None:
        """Opens a file.

        Raises:
            ModelError: it cannot be opened, or is no refiner's.
        """
        runtime: Any = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        # One thread: it runs beside the model, and always sums in the same order.
        options.intra_op_num_threads = 1
        try:
            session = runtime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
            told = session.get_modelmeta().custom_metadata_map
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ModelError(f"the refiner {file} cannot be opened: {first_line(error)}") from error
        self._session: InferenceSession = session
        self._file = file
        self.classes = _checked(file, session, told)

    def __call__(self, seen: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draws a mask.

        Args:
            seen: uint8 [H, W, 4], red, green, blue and the mask, of which 128 and above is the
                object; one of `SHAPES` or `SMALL`.

        Returns:
            uint8 [H, W], in which 128 and above is the object.

        Raises:
            ModelError: it fails.
        """
        try:
            (mask,) = self._session.run([OUTPUT], {INPUT: seen[None]})
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            layer, cause = failure_of(str(error))
            if (scarce := scarcity(error)) is not None:
                cause = "; ".join(scarce)
            where = f" in {layer}" if layer else ""
            raise ModelError(
                f"the refiner {self._file} failed{where}: {cause} (without --refiner edges are as "
                "the model has them)"
            ) from error
        return np.asarray(mask[0], np.uint8)


def _checked(file: Path, session: InferenceSession, told: Mapping[str, str]) -> frozenset[str]:
    if told.get(VERSION) != _VERSION:
        raise ModelError(
            f"{file} is no refiner that this version knows: its metadata must say "
            f"{VERSION} {_VERSION}, not {told.get(VERSION)}"
        )
    for info in (*session.get_inputs(), *session.get_outputs()):
        kind, shape = _WANTED.get(info.name, ("", []))
        own = [side if isinstance(side, int) else None for side in info.shape]
        if info.type != kind or own != shape:
            raise ModelError(f"{file} is no refiner: it has {info.name}, {info.type} {info.shape}")
    try:
        classes = json.loads(told.get(CLASSES, ""))
    except ValueError:
        classes = None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ModelError(f"{file} is no refiner: its metadata {CLASSES} is no list of names")
    return frozenset(classes)


@cache
def bundled() -> Learned | None:
    """The refiner beside the bundled model; None where there is none.

    Raises:
        ModelError: it is broken.
    """
    # By name: nothing in this package depends on that one.
    spec = importlib.util.find_spec("stream_models")
    places = None if spec is None else spec.submodule_search_locations
    file = Path(next(iter(places or ["."]))) / FILE
    return Learned(file) if file.is_file() else None


def chosen(refiner: str) -> Learned | None:
    """What draws masks: `learned` is the bundled one, `filter` none, all else a file.

    Raises:
        ModelError: it cannot be opened, or is no refiner's.
    """
    if refiner == "filter":
        return None
    return bundled() if refiner == "learned" else _opened(Path(refiner))


@cache
def _opened(file: Path) -> Learned:
    if not file.is_file():
        raise ModelError(f"there is no refiner {file}")
    return Learned(file)


def as_rgb(yuv: NDArray[np.uint8], encoding: Encoding) -> NDArray[np.uint8]:
    """Eight-bit Y, U and V as red, green and blue.

    Args:
        yuv: uint8 [3, H, W].
        encoding: how they are written; depth and transfer do not count.

    Returns:
        uint8 [H, W, 3].
    """
    stacked = cv2.merge([yuv[0], yuv[1], yuv[2]])
    return np.asarray(cv2.transform(stacked, _to_rgb(encoding)), np.uint8)


@lru_cache(maxsize=16)
def _to_rgb(encoding: Encoding) -> NDArray[np.float64]:
    # ITU-T H.273, section 8.3, the other way round.
    luma, chroma = (1.0, 1.0) if encoding.full_range else (255 / 219, 255 / 224)
    scales = np.diag([luma, chroma, chroma])
    matrix = np.linalg.inv(rgb_to_yuv(encoding.red, encoding.blue)) @ scales
    black = 0 if encoding.full_range else 16
    shift = matrix @ np.array([-black, -128, -128])
    return np.column_stack([matrix, shift])


def regions(
    known: NDArray[np.bool_],
    boxes: NDArray[np.float32],
    cells: tuple[int, int],
    size: tuple[int, int],
    grid: tuple[int, int],
) -> list[Region | None]:
    """What is looked at for each object of a frame.

    Args:
        known: bool [N], whether it is of a class that was learnt.
        boxes: float32 [N, 4], where masks lie; anything, also NaN.
        cells: rows and columns of the masks.
        size: the picture's height and width in pixels.
        grid: rows and columns of luma that share one chroma sample.

    Returns:
        For each object its region; None where it is not known, outside the picture, so small that
        nothing would be gained, or not among the largest few.
    """
    found: list[Region | None] = [None] * len(boxes)
    areas: dict[int, int] = {}
    for index in np.flatnonzero(known).tolist():
        window = around(boxes[index], size, grid, (ROOM, 0.0))
        if window is None:
            continue
        region = Region(window, *shape_for(window))
        x1, y1, x2, y2 = boxes[index].tolist()
        cell = math.sqrt((x2 - x1) * (y2 - y1) / (cells[0] * cells[1]))
        if cell * min(1.0, region.scale) >= FINER:
            found[index] = region
            areas[index] = (window[1] - window[0]) * (window[3] - window[2])
    # Of as many pixels the surer, which stand first.
    for index in sorted(areas, key=lambda one: -areas[one])[MOST:]:
        found[index] = None
    return found


def draw(
    learned: Learned,
    planes: Planes,
    region: Region,
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """A region with a mask whose edge lies where the object ends, as far as the network knows.

    Args:
        learned: the network.
        planes: the picture.
        region: of it, from `regions`.
        mask: float32 [M, M], 0..1, more than 0.5 where the object is.
        box: float32 [4], where it lies.

    Returns:
        Y, U and V of the region and the mask, uint8 [4, height, width].
    """
    seen = look(planes, region, mask, box)
    shown = np.empty((region.height, region.width, 4), np.uint8)
    # In two steps, which together take half of mixChannels' time.
    cv2.cvtColor(as_rgb(seen[:3], planes.encoding), cv2.COLOR_RGB2RGBA, dst=shown)
    cv2.insertChannel(seen[3], shown, 3)
    seen[3] = within_reach(learned(shown), seen[3])
    return seen


def within_reach(drawn: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What was drawn, but for what is far from the edge of the mask that it was drawn from.

    There the mask is seldom wrong, and a hole in somebody is worse than a rim. Up to half of
    `REACH` it is what was drawn, from half as far again on what the mask says, and in between the
    one becomes the other: where they differ much, a step would be seen as a cut along a straight
    line.

    Args:
        drawn: uint8 [H, W], 128 and above is the object.
        mask: the same, by the model.

    Returns:
        uint8 [H, W].
    """
    _, inside = cv2.threshold(mask, EDGE - 1, 255, cv2.THRESH_BINARY)
    square = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    deep = cv2.erode(inside, square, borderType=cv2.BORDER_REPLICATE)
    near = cv2.dilate(inside, square)
    side = (REACH + 1, REACH + 1)
    for one in (deep, near):
        cv2.blur(one, side, dst=one, borderType=cv2.BORDER_REPLICATE)
    # Within reach of the edge it is what was drawn; deep inside at least the mask, far outside at
    # most the mask.
    least = cv2.multiply(mask, deep, scale=1 / 255)
    most = cv2.max(mask, near)
    return np.asarray(cv2.min(cv2.max(drawn, least), most), np.uint8)
