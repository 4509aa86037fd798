"""What all objects of a frame are together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.mattes import around
from stream.compositing.soft import Soft
from stream.roi import Window

_ALIKE = 1.5
"""Softs of which one is coarser by more than this factor are not taken together: the finer one
would lose."""
_EMPTY = 1.1
"""By how much what holds several windows may be larger than they are together."""


def merged(softs: Sequence[Soft]) -> list[Soft]:
    """Softs that lie over each other as one, where hardly anything else is between them."""

    def alike(one: int, other: int) -> bool:
        return _alike(softs[one].cell, softs[other].cell) and _alike(
            softs[one].doubt, softs[other].doubt
        )

    return [
        softs[members[0]] if len(members) == 1 else _one(window, [softs[one] for one in members])
        for window, members in _gathered([soft.window for soft in softs], alike)
    ]


def laid(softs: Sequence[Soft], window: Window) -> NDArray[np.uint8]:
    """What several are together in a window of the picture, uint8 [H, W]; not to be written to."""
    if len(softs) == 1 and softs[0].window == window:
        return softs[0].values
    values = np.zeros((window[1] - window[0], window[3] - window[2]), np.uint8)
    for one in softs:
        top, bottom = max(window[0], one.window[0]), min(window[1], one.window[1])
        left, right = max(window[2], one.window[2]), min(window[3], one.window[3])
        if top < bottom and left < right:
            there = values[
                top - window[0] : bottom - window[0], left - window[2] : right - window[2]
            ]
            own = one.values[
                top - one.window[0] : bottom - one.window[0],
                left - one.window[2] : right - one.window[2],
            ]
            cv2.max(there, own, dst=there)
    return values


def _gathered(
    windows: Sequence[Window], alike: Callable[[int, int], bool]
) -> list[tuple[Window, list[int]]]:
    """Windows that lie over each other, as far as their members are alike.

    Returns:
        The window that holds them, and which they are.
    """
    found: list[tuple[Window, int, list[int]]] = []
    for index, own in enumerate(windows):
        held, there, members = own, _area(own), [index]
        # What grows may come to touch another.
        while (place := _place(held, there, index, found, alike)) is not None:
            other, others, more = found.pop(place)
            held, there, members = around(held, other), there + others, [*more, *members]
        found.append((held, there, members))
    return [(window, members) for window, _, members in found]


def _place(
    window: Window,
    there: int,
    index: int,
    found: Sequence[tuple[Window, int, list[int]]],
    alike: Callable[[int, int], bool],
) -> int | None:
    for place, (other, others, members) in enumerate(found):
        if (
            _touch(window, other)
            and _area(around(window, other)) <= _EMPTY * (there + others)
            and alike(index, members[0])
        ):
            return place
    return None


def _one(window: Window, parts: Sequence[Soft]) -> Soft:
    cell, doubt = max(one.cell for one in parts), max(one.doubt for one in parts)
    return Soft(window, laid(parts, window), cell, doubt)


def _alike(one: float, other: float) -> bool:
    return max(one, other) <= _ALIKE * min(one, other)


def _area(window: Window) -> int:
    return (window[1] - window[0]) * (window[3] - window[2])


def _touch(one: Window, other: Window) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
