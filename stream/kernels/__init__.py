"""Painting's inner loops in C, where a compiler was at hand when the program was installed.

Each gives, to the last bit, what the same step of `stream.compositing` does with NumPy and OpenCV,
which is taken where nothing was compiled, and for samples of more than eight bits.
"""

from __future__ import annotations

import ctypes
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
_ENDING = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
LIBRARY = FOLDER / f"kernels{_ENDING}"
SWITCH = "STREAM_KERNELS"
"""The environment variable that has them left out if it is `off`."""

WIDEST = 16384
"""Columns of a picture, at most, that are painted by these loops."""
BLOCK = 32
"""Samples that are looked at together."""
MOST_HALVINGS = 8
"""How often a plane is made half as large at once, at most."""
WIDEST_SIDE = 15
"""Of a square whose sum two bytes hold."""

_ADDRESS, _LENGTH, _NUMBER = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int
_REAL = ctypes.c_double
_NUMBERS = (_NUMBER,) * 4
_Function = Callable[..., Any]
_GIVES = {"windows": ctypes.c_int64, "fall": _NUMBER}


class Kernels:
    """The compiled loops. They let other threads of Python run meanwhile.

    Args:
        library: what was compiled from the C files here.

    Raises:
        OSError: it cannot be loaded.
        AttributeError: it is something else.
    """

    def __init__(self, library: Path) -> None:
        loaded = ctypes.CDLL(str(library))
        self.source: int = loaded.stream_source()
        plane, area = (_ADDRESS, _LENGTH), (_LENGTH, _LENGTH)
        kinds: dict[str, tuple[Any, ...]] = {
            "blend": (*plane, *plane, *area, _NUMBER),
            "compose": (
                *(*plane, *area, *plane, _NUMBER, _NUMBER, _LENGTH),
                *(_ADDRESS,) * 3,
            ),
            "bilateral": (_ADDRESS, *area, _LENGTH, _NUMBER, _NUMBER, *(_ADDRESS,) * 3),
            "fall": (
                *(*plane, *area, _ADDRESS, _NUMBER, _NUMBER, *plane, *area),
                *(_LENGTH, _LENGTH, _ADDRESS),
            ),
            "clear": (*plane, *area, _ADDRESS),
            "cut": (*plane, _NUMBER, _ADDRESS, *area, _NUMBER, _ADDRESS, _ADDRESS),
            "lay": (*plane, *plane, *area, _NUMBER),
            "windows": (_LENGTH, _ADDRESS, *_NUMBERS[:4], _REAL, *_NUMBERS[:3], _ADDRESS),
            "paste": (
                *(_LENGTH, _ADDRESS, *_NUMBERS[:2], _ADDRESS, _ADDRESS, ctypes.c_float),
                *(_LENGTH, _ADDRESS, _ADDRESS, _ADDRESS),
            ),
            "soft": (
                *(_ADDRESS, *_NUMBERS[:2], ctypes.c_float, _ADDRESS, _ADDRESS, ctypes.c_float),
                *(_ADDRESS, _ADDRESS),
            ),
            "union": (
                *(_LENGTH, _ADDRESS, *_NUMBERS[:2], *(_ADDRESS,) * 3, *plane),
                *(_ADDRESS,) * 3,
            ),
            "tint": (
                *(_LENGTH, *(_ADDRESS,) * 5, *plane, _ADDRESS, _NUMBER, _ADDRESS),
                *(_ADDRESS, *_NUMBERS[:2], _ADDRESS),
            ),
        }
        for name, takes in kinds.items():
            function = getattr(loaded, f"stream_{name}")
            function.argtypes = takes
            function.restype = _GIVES.get(name)
            setattr(self, f"_{name}", function)

    _blend: _Function
    _compose: _Function
    _bilateral: _Function
    _fall: _Function
    _clear: _Function
    _cut: _Function
    _lay: _Function
    _windows: _Function
    _paste: _Function
    _soft: _Function
    _union: _Function
    _tint: _Function

    def blend(self, samples: NDArray[np.uint8], keep: NDArray[np.uint8], value: int) -> None:
        """Blends one code value into samples, in place.

        Args:
            samples: uint8 [H, W], their columns one after the other in memory.
            keep: the same, 255 (as it was) to 0 (the value).
            value: the code value.
        """
        self._blend(*_plane(samples), *_plane(keep), *samples.shape, value)

    def compose(
        self,
        samples: NDArray[np.uint8],
        behind: NDArray[np.uint8] | int,
        larger: int,
        windows: Sequence[tuple[int, int, int, int]],
        shares: Sequence[NDArray[np.uint8]],
    ) -> None:
        """Puts something else behind objects, in place.

        Args:
            samples: uint8 [H, W], a plane, its columns one after the other in memory.
            behind: one value, or uint8 [H / larger, W / larger], between whose middles samples are
                interpolated.
            larger: 1, 2, 4 or 8.
            windows: rows y1 to y2 and columns x1 to x2 of the plane, ends exclusive, that do not
                touch each other; elsewhere nothing stays.
            shares: uint8 of each one's size, 255 where samples stay to 0 where they do not.
        """
        rows, columns = samples.shape
        places = np.array(windows, np.int64).reshape(-1, 4)
        own = np.array([_plane(one) for one in shares], np.int64)
        scratch = np.empty(5 * columns, np.uint8)
        there, value = ((0, 0), behind) if isinstance(behind, int) else (_plane(behind), 0)
        self._compose(
            *_plane(samples),
            rows,
            columns,
            *there,
            larger,
            value,
            len(places),
            _at(places),
            _at(own),
            _at(scratch),
        )

    def bilateral(
        self,
        planes: NDArray[np.uint8],
        rim: int,
        own: int,
        places: NDArray[np.int32],
        tables: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """A mask averaged over what looks alike nearby.

        Args:
            planes: uint8 [4, H + 2 rim, W + 2 rim], Y, U, V and the mask; W at least `BLOCK`.
            rim: pixels on each side, at most 16.
            own: the weight of a pixel itself.
            places: int32 [N, 2], rows and columns to each neighbour, within the rim.
            tables: uint8 [N, 64], their weights by how much colours differ; 0 for 64 and more.

        Returns:
            uint8 [H, W].
        """
        out = np.empty((planes.shape[1] - 2 * rim, planes.shape[2] - 2 * rim), np.uint8)
        self._bilateral(
            _at(planes), *out.shape, rim, own, len(places), _at(places), _at(tables), _at(out)
        )
        return out

    def fall(
        self,
        values: NDArray[np.uint8],
        place: tuple[int, int],
        table: NDArray[np.uint8],
        side: int,
        plane: NDArray[np.uint8],
        *,
        held: bool,
    ) -> bool:
        """Raises a plane to what a table says of values, averaged over a square around each.

        Args:
            values: uint8 [h, w], their columns one after the other in memory.
            place: row and column of the plane at which they lie; elsewhere they are 0, and beyond
                the plane they are as on its edge.
            table: uint8 [256]; 0 of 0 and 255 of 255.
            side: of the square, odd, at most `WIDEST_SIDE`; 1 for no averaging.
            plane: uint8 [H, W], the same as `values`, which lie within it.
            held: whether it is raised to what the table says and to twice the square's mean; else
                to the mean.

        Returns:
            Whether there is anything but 0.
        """
        rows, columns = values.shape
        scratch = np.empty((columns + 4 * side + 2 * BLOCK) * (side + 2), np.uint8)
        return bool(
            self._fall(
                *(*_plane(values), rows, columns, _at(table), side, held),
                *(*_plane(plane), *plane.shape, *place, _at(scratch)),
            )
        )

    def clear(self, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """How far each two rows and columns are behind all objects.

        Args:
            alpha: uint8 [H, W], how far pixels are an object's, their columns one after the other
                in memory; H and W even.

        Returns:
            uint8 [H / 2, W / 2], 255 where they are wholly, 0 where they hardly are.
        """
        out = np.empty((alpha.shape[0] // 2, alpha.shape[1] // 2), np.uint8)
        self._clear(*_plane(alpha), *out.shape, _at(out))
        return out

    def cut(
        self,
        samples: NDArray[np.uint8],
        clear: NDArray[np.uint8],
        halvings: int,
        *,
        alone: bool = True,
    ) -> NDArray[np.uint8]:
        """A plane, as small as is asked for by halving, without what is not clear.

        Args:
            samples: uint8, of the size of `clear` or of twice that; their columns one after the
                other in memory.
            clear: uint8 [H, W], contiguous, 255 where all of a sample counts to 0 where nothing.
            halvings: how often `clear`'s size is halved, at most `MOST_HALVINGS`; H and W are
                multiples of 2 to that power.
            alone: whether what is not clear is left out; else the plane is only made small.

        Returns:
            uint8 of the small size.
        """
        rows, columns = clear.shape
        out = np.empty((rows >> halvings, columns >> halvings), np.uint8)
        scratch = np.empty(4 * columns + 2 * BLOCK, np.uint8)
        self._cut(
            *(*_plane(samples), samples.shape != clear.shape, _at(clear) if alone else None),
            *(rows, columns, halvings, _at(out), _at(scratch)),
        )
        return out

    def lay(self, samples: NDArray[np.uint8], inside: NDArray[np.uint8], value: int) -> None:
        """Writes a value where a mask is and nothing higher, in place.

        Args:
            samples: uint8 [H, W], their columns one after the other in memory.
            inside: the same, 1 or 0.
            value: 0..255.
        """
        self._lay(*_plane(samples), *_plane(inside), *inside.shape, value)

    def windows(
        self,
        boxes: NDArray[np.float32],
        cells: tuple[int, int],
        size: tuple[int, int],
        threshold: float,
        grid: tuple[int, int],
        margin: int,
    ) -> tuple[NDArray[np.int64], int]:
        """Where masks may be above a threshold, and a margin, on a grid.

        Args:
            boxes: float32 [N, 4], x1, y1, x2, y2 in pixels of the picture; anything, also NaN.
            cells: rows and columns of the masks.
            size: the picture's height and width in pixels.
            threshold: 0..1.
            grid: rows and columns on which windows start, and end unless the picture ends.
            margin: pixels to add around.

        Returns:
            int64 [N, 4], rows y1 to y2 and columns x1 to x2, ends exclusive, all 0 where nowhere;
            and how many pixels they have with the margin around them once more.
        """
        boxes = np.ascontiguousarray(boxes, np.float32)
        found = np.empty((len(boxes), 4), np.int64)
        pixels: int = self._windows(
            len(boxes), _at(boxes), *cells, *size, threshold, *grid, margin, _at(found)
        )
        return found, pixels

    def paste(
        self,
        masks: NDArray[np.float32],
        boxes: NDArray[np.float32],
        windows: NDArray[np.int64],
        threshold: float,
        out: NDArray[np.uint8],
        margin: int,
    ) -> NDArray[np.int64]:
        """Where `roi.sample_mask` is above a threshold, with a margin like the outermost pixels.

        Args:
            masks: float32 [N, M, M], 0..1.
            boxes: float32 [N, 4].
            windows: from `windows`.
            threshold: 0..1.
            out: uint8 of all their pixels; becomes 1 or 0, mask after mask, each with its margin.
            margin: pixels on each side.

        Returns:
            int64 [N, 2]: the row of the topmost pixel, and the column of the middle one an eighth
            of the window below it, from the window's first; -1 where no pixel is above it.
        """
        masks = np.ascontiguousarray(masks, np.float32)
        boxes = np.ascontiguousarray(boxes, np.float32)
        tops = np.empty((len(masks), 2), np.int64)
        most = int((windows[:, 1::2] - windows[:, ::2]).max(initial=0))
        scratch = np.empty(2 * most + masks.shape[2] + 3)
        self._paste(
            len(masks),
            _at(masks),
            *masks.shape[1:],
            _at(boxes),
            _at(windows),
            threshold,
            margin,
            _at(out),
            _at(scratch),
            _at(tops),
        )
        return tops

    def soft(
        self,
        mask: NDArray[np.float32],
        box: NDArray[np.float32],
        window: tuple[int, int, int, int],
        gain: float,
        offset: float,
    ) -> NDArray[np.uint8]:
        """`roi.sample_mask` times a gain and an offset, in whole numbers of 0 to 255.

        Halves become the even one.

        Args:
            mask: float32 [M, M].
            box: float32 [4], x1, y1, x2, y2 in pixels of the picture; not empty, finite.
            window: of the picture, not empty.
            gain: what cells are multiplied by.
            offset: what is added to each pixel.

        Returns:
            uint8 of the window's size.
        """
        mask, box = (np.ascontiguousarray(one, np.float32) for one in (mask, box))
        height, width = window[1] - window[0], window[3] - window[2]
        out = np.empty((height, width), np.uint8)
        scratch = np.empty(height + width + mask.shape[1] + 3)
        lines = np.array(window, np.int64)
        self._soft(
            _at(mask),
            *mask.shape,
            gain,
            _at(box),
            _at(lines),
            offset,
            _at(out),
            _at(scratch),
        )
        return out

    def union(
        self,
        masks: NDArray[np.float32],
        boxes: NDArray[np.float32],
        windows: NDArray[np.int64],
        falls: NDArray[np.float32],
        plane: NDArray[np.uint8],
    ) -> NDArray[np.bool_]:
        """`soft` of many masks, the most of them at each pixel of a picture, in place.

        Args:
            masks: float32 [N, M, M].
            boxes: float32 [N, 4], not empty, finite.
            windows: int64 [N, 4], not empty.
            falls: float32 [N, 2], gains and offsets.
            plane: uint8 of the picture's size; raised to what is more.

        Returns:
            bool [N], whether anything of each is more than 0.
        """
        masks, boxes = (np.ascontiguousarray(one, np.float32) for one in (masks, boxes))
        sizes = windows[:, 1::2] - windows[:, ::2]
        soft = np.empty(int(sizes.prod(axis=1).max(initial=0)), np.uint8)
        scratch = np.empty(2 * int(sizes.max(initial=0)) + masks.shape[2] + 3)
        found = np.empty(len(masks), np.bool_)
        self._union(
            len(masks),
            _at(masks),
            *masks.shape[1:],
            _at(boxes),
            _at(windows),
            _at(falls),
            *_plane(plane),
            _at(soft),
            _at(scratch),
            _at(found),
        )
        return found

    def tint(
        self,
        objects: Objects,
        order: Sequence[int],
        ranks: NDArray[np.uint8],
        side: int,
        shares: NDArray[np.uint16],
        samples: Sequence[NDArray[np.uint8]],
        step: int,
        codes: NDArray[np.int32],
    ) -> None:
        """Blends colours into objects, by how much of a square around each pixel is the object's.

        Each is painted where nothing is in front of it.

        Args:
            objects: at most 255.
            order: their places, what is farthest behind first.
            ranks: uint8 of the picture's size, all 0.
            side: of the square around each pixel over which a mask is counted; odd, 3 to 15.
            shares: uint16 [256], how much of a pixel stays, of 256, by what was counted; 256 for 0.
            samples: uint8, the picture's planes: one, or three; at most `WIDEST` columns.
            step: rows and columns of the first plane for each sample of the others, 1 or 2.
            codes: int32 [N, 3], the colours' values in each plane.
        """
        windows = objects.windows
        sizes = windows[:, 1::2] - windows[:, ::2] + 2 * (side // 2)
        scratch = np.empty(int(sizes.prod(axis=1).max(initial=0)), np.uint8)
        places = np.array(order, np.int64)
        planes = np.array([_plane(one) for one in samples], np.int64)
        self._tint(
            len(places),
            _at(places),
            _at(objects.masks),
            _at(windows),
            _at(objects.covered),
            _at(objects.covers),
            *_plane(ranks),
            _at(scratch),
            side,
            _at(shares),
            _at(planes),
            len(planes),
            step,
            _at(codes),
        )


class Objects(NamedTuple):
    """Masks of a picture's objects.

    Attributes:
        masks: int64 [N, 3]: where in memory each begins at its window's first pixel, how many bytes
            its rows lie apart, and how much stays at most, of 256, where it is: 256 but for thin
            ones. uint8 1 or 0, with half a square around the window.
        windows: int64 [N, 4], where they lie, on the grid of the picture's planes.
        covered: bool [N], whether anything may be in front of each.
        covers: bool [N], whether each may be in front of anything.
    """

    masks: NDArray[np.int64]
    windows: NDArray[np.int64]
    covered: NDArray[np.bool_]
    covers: NDArray[np.bool_]


def address_of(array: NDArray[Any]) -> int:
    """Where the first number of an array lies in memory, as long as somebody holds the array."""
    address: int = array.__array_interface__["data"][0]
    return address


_at = address_of


def _plane(array: NDArray[Any]) -> tuple[int, int]:
    """Where an array lies in memory, and how many bytes one row of it lies after the other."""
    return address_of(array), array.strides[0]


@cache
def source() -> int:
    """A number that stands for the C files as they are now; as `hatch_build.py` has it."""
    texts = [path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]"))]
    return zlib.crc32(b"".join(texts)) & 0x7FFFFFFF


def wanted() -> bool:
    """Whether they are to be taken where they are at hand."""
    return os.environ.get(SWITCH, "").lower() not in {"off", "0", "no"}


@cache
def examined() -> tuple[Kernels | None, str]:
    """The compiled loops, or why there are none, in words for users."""
    if not wanted():
        return None, f"not wanted ({SWITCH} says so)"
    if not LIBRARY.exists():
        return None, "not compiled, as no C compiler was found at installation"
    try:
        kernels = Kernels(LIBRARY)
    except (OSError, AttributeError) as error:
        return None, f"not usable, as {LIBRARY.name} cannot be loaded: {error}"
    if kernels.source != source():
        return None, "compiled from another version"
    return kernels, "compiled"


def compiled() -> Kernels | None:
    """The compiled loops; None where there are none."""
    return examined()[0]
