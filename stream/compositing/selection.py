"""Which objects are in front, chosen so that it does not change to and fro."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.instances import Instances

ALL, LARGEST = "all", "largest"

_SMOOTHING = 0.4
"""Seconds over which sizes are averaged."""
_LARGER = 1.25
"""By this factor another object must be larger to take a place."""
_FOR = 0.5
"""For so many seconds it must be."""
_KEPT = 0.25
"""For so many seconds the place of an object that is not found is kept."""


def parse_select(text: str) -> int | frozenset[int] | None:
    """How many of the largest, or which identities; None for all.

    Raises:
        UsageError: it is none of these.
    """
    words = [word.strip() for word in text.lower().split(",")]
    if words == [ALL]:
        return None
    if words == [LARGEST]:
        return 1
    if len(words) == 1 and words[0].isdecimal() and 0 < int(words[0]) <= 10**6:
        return int(words[0])
    found = [re.fullmatch(r"(?:#|id)([0-9]{1,18})", word) for word in words]
    if all(found):
        return frozenset(int(one[1]) for one in found if one)
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    raise UsageError(
        "select is all, largest, a number from 1 on (so many of the largest), or identities such "
        f"as id3,id7, not {shown!r}"
    )


class Selection:
    """Chooses objects of each frame, in order; one thread at a time.

    The largest are chosen by size averaged over a moment, and another takes the place of one of
    them only once it has been larger for a moment, by a quarter. For that objects need identities;
    without them each picture is looked at for itself.
    """

    def __init__(self, asked: str = ALL) -> None:
        """Says what is wanted.

        Args:
            asked: `all`, `largest`, a number, or identities, as `parse_select` reads it.

        Raises:
            UsageError: it is none of these.
        """
        self._wanted = parse_select(asked)
        self._reset()
        self._last = -math.inf

    def _reset(self) -> None:
        self._sizes: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        self._chosen: list[int] = []
        self._larger_since: float | None = None

    def __call__(self, instances: Instances, seconds: float) -> Instances:
        """Those that are in front, in their order.

        Args:
            instances: all that were found in a frame.
            seconds: its presentation time.
        """
        wanted = self._wanted
        if wanted is None or not len(instances):
            return instances
        if isinstance(wanted, frozenset):
            return instances.select(np.isin(numbers_of(instances), list(wanted)))
        sizes = sizes_of(instances)
        if instances.track_ids is None:
            places = np.sort(np.argsort(-sizes, kind="stable")[:wanted])
            return instances.select(places)
        ids = instances.track_ids
        self._follow(dict(zip(ids.tolist(), sizes.tolist(), strict=True)), seconds, wanted)
        return instances.select(np.isin(ids, self._chosen))

    def _follow(self, found: dict[int, float], seconds: float, wanted: int) -> None:
        passed = seconds - self._last
        # Time began again, or nobody of before is there: another picture altogether.
        if passed < 0 or not found.keys() & self._seen.keys():
            self._reset()
        self._last = seconds
        share = 1 - math.exp(-max(0.0, passed) / _SMOOTHING)
        for number, size in found.items():
            before = self._sizes.get(number, size)
            self._sizes[number] = before + share * (size - before)
            self._seen[number] = seconds
        for number, seen in list(self._seen.items()):
            if seconds - seen > _KEPT:
                del self._seen[number], self._sizes[number]
        self._chosen = [number for number in self._chosen if number in self._seen]
        others = sorted(found.keys() - set(self._chosen), key=lambda one: -self._sizes[one])
        free = wanted - len(self._chosen)
        self._chosen += others[: max(0, free)]
        self._change(others[max(0, free) :], seconds)

    def _change(self, others: list[int], seconds: float) -> None:
        """Gives the smallest's place to one that has been larger for long enough."""
        smallest = min(self._chosen, key=lambda one: self._sizes[one])
        if not others or self._sizes[others[0]] < _LARGER * self._sizes[smallest]:
            self._larger_since = None
        elif self._larger_since is None:
            self._larger_since = seconds
        elif seconds - self._larger_since >= _FOR:
            self._chosen[self._chosen.index(smallest)] = others[0]
            self._larger_since = None


def numbers_of(instances: Instances) -> NDArray[np.int64]:
    """The number that each object goes by, int64 [N]: its identity, else its place from 1 on."""
    if instances.track_ids is not None:
        return instances.track_ids
    return np.arange(1, len(instances) + 1)


def sizes_of(instances: Instances) -> NDArray[np.float64]:
    """About how many pixels of the picture are each object's, without pasting its mask: [N]."""
    height, width = instances.picture_size
    boxes = np.nan_to_num(instances.paste_boxes.astype(np.float64))
    shown = np.clip(boxes, 0, (width, height, width, height))
    area = np.prod(np.clip(shown[:, 2:] - shown[:, :2], 0, None), axis=1)
    share = (instances.masks > instances.mask_threshold).mean(axis=(1, 2))
    return np.asarray(area * share, np.float64)
