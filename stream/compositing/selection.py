"""Which objects are in front, chosen so that it does not change to and fro."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.instances import Instances
from stream.settings.option import parse_select

ALL = "all"

_SMOOTHING = 0.4
"""Seconds over which sizes are averaged."""
_LARGER = 1.25
"""By this factor another object must be larger to take a place."""
_FOR = 0.5
"""For so many seconds it must be."""
_KEPT = 0.25
"""For so many seconds the place of an object that is not found is kept."""


def wanted_by(select: str) -> int | frozenset[int] | None:
    """How many of the largest, or which identities; None for all.

    Raises:
        UsageError: it is none of these.
    """
    try:
        words = parse_select(str(select)).split(",")
    except UsageError as error:
        raise UsageError(f"select: {error}") from error
    if words == [ALL]:
        return None
    if words[0].isdecimal():
        return int(words[0])
    if words == ["largest"]:
        return 1
    return frozenset(int(word.lstrip("#id")) for word in words)


class Selection:
    """Chooses objects of each frame, in order; one thread at a time.

    The largest are chosen by size averaged over a moment, and another takes the place of one of
    them only once it has been larger for a moment, by a quarter. For that objects need identities;
    without them each picture is looked at for itself.
    """

    def __init__(self, asked: str = ALL) -> None:
        """Says what is wanted.

        Args:
            asked: `all`, `largest`, a number, or identities, as `wanted_by` reads it.

        Raises:
            UsageError: it is none of these.
        """
        self._wanted = wanted_by(asked)
        self._never = set(self._wanted) if isinstance(self._wanted, frozenset) else set()
        self._reset()
        self._last = -math.inf

    @property
    def remarks(self) -> list[str]:
        """Which identities that were asked for nobody had, in a sentence."""
        if not self._never:
            return []
        names = ", ".join(f"id{one}" for one in sorted(self._never))
        return [
            f"--select {names}: nobody had {'this number' if len(self._never) == 1 else 'these'}"
        ]

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
            numbers = numbers_of(instances)
            self._never.difference_update(numbers.tolist())
            return instances.select(np.isin(numbers, list(wanted)))
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
