"""Which sizes of input come where each new one costs a second of planning."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.inference.contract import Geometry, Resize

Size = tuple[int, int]
"""Width and height of a model's input, in pixels."""

OWN = 6
"""So many sizes are taken as they come: of 64 pictures of COCO, in 9 sizes, that are 59. Each needs
memory on the card, and a second when it comes first."""
MOST = OWN + 2
"""Sizes in use at once: a wide and a high one more take what does not fit."""


@dataclass(slots=True)
class _Taken:
    """Sizes of one policy, `MOST` at most.

    Attributes:
        own: taken as they came, or kept; what was used last comes last.
        roomier: larger ones, for what fits none of those.
    """

    own: OrderedDict[Size, None] = field(default_factory=OrderedDict)
    roomier: list[Size] = field(default_factory=list)

    def take(self, size: Size) -> None:
        """Has pictures of this size lie in it as they come."""
        self.own[size] = None
        self.own.move_to_end(size)
        self._bound()

    def place(self, size: Size, larger: Size) -> Size:
        """The smallest size that holds this one; `larger` is one, of few."""
        there = [*self.own, *self.roomier]
        sizes = [one for one in there if _holds(one, size)]
        if not sizes or len(there) < MOST:
            sizes.append(larger)
        found = min(sizes, key=lambda one: one[0] * one[1])
        if found not in there:
            self.roomier.append(found)
            self._bound()
        return found

    def _bound(self) -> None:
        while len(self.own) + len(self.roomier) > MOST:
            spare = [
                one
                for one in self.roomier
                if any(one != other and _holds(other, one) for other in self.roomier)
            ]
            if spare:
                self.roomier.remove(spare[0])
            else:
                self.own.popitem(last=False)


class Canvases:
    """The sizes of a model's input; may be used from several threads.

    Of each resize policy in use, which are the model's own and those of larger and smaller views,
    the first few are taken as they come, as on every provider. A picture that would need one more
    lies in one of those or, where it fits none, in one of few larger ones: its margins are wider,
    and answers may differ a little. However many shapes come, no more than `MOST` sizes of a
    policy are in use at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._policies: dict[Resize, _Taken] = {}
        self._widened = 0

    @property
    def in_use(self) -> frozenset[Size]:
        """The sizes in which pictures lie; `MOST` of each policy at most."""
        with self._lock:
            policies = self._policies.values()
            return frozenset(one for taken in policies for one in (*taken.own, *taken.roomier))

    def keep(self, resize: Resize, size: Size) -> None:
        """Takes pictures of this size as they come, however many others there are.

        Of more such sizes than `MOST`, those that came last do.
        """
        with self._lock:
            self._policies.setdefault(resize, _Taken()).take(size)

    def place(self, resize: Resize, geometry: Geometry) -> Geometry:
        """Where a picture lies in the input, of what that policy makes of it."""
        with self._lock:
            taken = self._policies.setdefault(resize, _Taken())
            # Of other modes all pictures are of one size.
            few = len(taken.own) < OWN or resize.mode != "shortest_edge"
            if few or geometry.size in taken.own:
                taken.take(geometry.size)
                return geometry
            size = taken.place(geometry.size, resize.roomier(geometry).size)
        return resize.within(geometry, size)

    def count(self, placed: Mapping[Resize, Geometry]) -> None:
        """Counts a picture for `remark`, by the places of its views."""
        if any(resize.geometry(*one.picture) != one for resize, one in placed.items()):
            with self._lock:
                self._widened += 1

    @property
    def remark(self) -> str:
        """What became of pictures beyond the first sizes; "" where there were none."""
        with self._lock:
            widened = self._widened
        if not widened:
            return ""
        return (
            f"pictures of more than {OWN} shapes came, and the card plans each size of input "
            f"anew: {widened} of them got wider margins, which may change answers a "
            "little; run fewer shapes at once where that matters"
        )


def _holds(size: Size, other: Size) -> bool:
    return size[0] >= other[0] and size[1] >= other[1]
