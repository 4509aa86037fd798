"""COCO's run lengths: a mask as text, and back.

Runs are counted down the columns, from the left one on, first what is outside, then what is inside,
and so on in turns. From the fourth count on, what is written is the difference to the count two
places before. Each number is written in groups of five bits, lowest first, as characters from `0`
on; a sixth bit says that more follow, and the fifth bit of the last group is the sign. The format
is that of the COCO API (`maskApi.c`), which `pycocotools` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.roi import Window

_BITS, _SIGN, _MORE, _FIRST = 5, 0x10, 0x20, 48


class Rle(TypedDict):
    """A mask at full picture size.

    Attributes:
        size: height and width in pixels.
        counts: the compressed run lengths.
    """

    size: list[int]
    counts: str


AnyRle: TypeAlias = "Rle | Mapping[str, Any]"
"""Run lengths as others may have written them; they are checked when they are read."""


def encode(inside: NDArray[np.bool_], window: Window, size: tuple[int, int]) -> Rle:
    """Writes the mask of a picture that is False outside a window.

    Args:
        inside: bool of the window's size.
        window: where in the picture it lies, wholly inside.
        size: the picture's height and width in pixels.
    """
    height, width = size
    top, bottom, left, right = window
    # An empty row above and below, so that no run goes on from a column to the next.
    columns = np.zeros((right - left, bottom - top + 2), np.bool_)
    columns[:, 1:-1] = inside.T
    flat = columns.reshape(-1)
    column, row = np.divmod(np.flatnonzero(flat[1:] != flat[:-1]), bottom - top + 2)
    # Beginnings and ends in turns. A run that goes on at the top of the next column is one.
    edges = (left + column) * height + top + row
    joined = 2 * np.flatnonzero(edges[1:-1:2] == edges[2::2]) + 1
    edges = np.delete(edges, [joined, joined + 1])
    if len(edges) and edges[-1] == height * width:
        edges = edges[:-1]
    counts = np.diff(np.concatenate([[0], edges, [height * width]]))
    return Rle(size=[height, width], counts=_compress(counts))


def decode(rle: AnyRle) -> NDArray[np.bool_]:
    """The mask at full size, bool [H, W].

    Args:
        rle: as `encode` writes it; `counts` may also be bytes, or a list of uncompressed counts.

    Raises:
        UsageError: it has no size or no counts, or they do not fit together.
    """
    size, part = decode_part(rle)
    whole = np.zeros(size, np.bool_)
    if part is not None:
        (top, bottom, left, right), inside = part
        whole[top:bottom, left:right] = inside
    return whole


def decode_part(
    rle: AnyRle,
) -> tuple[tuple[int, int], tuple[Window, NDArray[np.bool_]] | None]:
    """The mask without the empty rows and columns around it, so that none is as large as a picture.

    Args:
        rle: as `decode` reads it.

    Returns:
        The picture's height and width, and the mask as `outlines.tight` cuts it: where in the
        picture it lies, and bool of that size; None where no pixel is of it.

    Raises:
        UsageError: as of `decode`.
    """
    height, width, counts = _read(rle)
    ends = np.cumsum(counts)
    runs = len(counts) // 2
    starts, stops = ends[: 2 * runs : 2], ends[1 : 2 * runs : 2]
    holding = stops > starts
    if not holding.all():
        starts, stops = starts[holding], stops[holding]
    if not len(starts):
        return (height, width), None
    column, row = np.divmod(starts, height)
    last_column, last_row = np.divmod(stops - 1, height)
    left, right = int(column[0]), int(last_column[-1]) + 1
    # A run over the end of a column holds both its last row and the first of the next.
    over = (column != last_column).any()
    top, bottom = (0, height) if over else (int(row.min()), int(last_row.max()) + 1)
    tall = bottom - top
    edges = np.zeros(2 * len(starts) + 2, np.int64)
    edges[1:-1:2] = (column - left) * tall + row - top
    edges[2:-1:2] = (last_column - left) * tall + last_row - top + 1
    edges[-1] = (right - left) * tall
    inside = np.repeat(np.arange(len(edges) - 1) % 2 == 1, np.diff(edges))
    return (height, width), ((top, bottom, left, right), inside.reshape(right - left, tall).T)


def _read(rle: AnyRle) -> tuple[int, int, NDArray[np.int64]]:
    """Height, width and counts that fit these."""
    try:
        height, width = (int(number) for number in rle["size"])
        given = rle["counts"]
        counts = (
            _decompress(given)
            if isinstance(given, (str, bytes))
            else np.asarray(given, np.int64).reshape(-1)
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            'a mask in run lengths is {"size": [height, width], "counts": "…"}; this one cannot '
            f"be read: {error}"
        ) from error
    pixels = height * width
    # Each count by itself first: what is far too large would make the sum go round.
    wrong = min(height, width) < 0 or (counts < 0).any() or (counts > max(pixels, 0)).any()
    if wrong or counts.sum() != pixels:
        raise UsageError(
            f"a mask's run lengths add up to {counts.sum()} pixels, but its picture of "
            f"{width}x{height} has {height * width}"
        )
    return height, width, counts


def _compress(counts: NDArray[np.int64]) -> str:
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    # All numbers at once, one group of bits after the other; shifting keeps the sign.
    groups: list[NDArray[np.int64]] = []
    used: list[NDArray[np.bool_]] = []
    going = np.ones(len(numbers), np.bool_)
    while going.any():
        used.append(going)
        group = numbers & 0x1F
        numbers = numbers >> _BITS
        going = going & (numbers != np.where(group & _SIGN, -1, 0))
        groups.append(group + _MORE * going)
    written = np.stack(groups, axis=1)[np.stack(used, axis=1)] + _FIRST
    return written.astype(np.uint8).tobytes().decode("ascii")


def _decompress(text: str | bytes) -> NDArray[np.int64]:
    raw = text.encode("ascii") if isinstance(text, str) else text
    groups = np.frombuffer(raw, np.uint8).astype(np.int64) - _FIRST
    if not len(groups):
        return np.zeros(0, np.int64)
    last = (groups & _MORE) == 0
    if ((groups < 0) | (groups > 0x3F)).any() or not last[-1]:
        raise ValueError("the counts are no compressed run lengths")
    first = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    lengths = np.diff(np.concatenate([first, [len(groups)]]))
    if lengths.max() > 12:
        raise ValueError("a count is longer than 60 bits")
    places = _BITS * (np.arange(len(groups)) - np.repeat(first, lengths))
    numbers = np.add.reduceat((groups & 0x1F) << places, first)
    numbers -= np.where(groups[last] & _SIGN, 1 << (_BITS * lengths), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return np.asarray(numbers, np.int64)
