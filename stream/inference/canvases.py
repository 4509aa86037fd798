"""Which sizes of input come where each new one costs a second of planning."""

from __future__ import annotations

import threading

from stream.inference.contract import Geometry, Resize

Size = tuple[int, int]
"""Width and height of a model's input, in pixels."""

OWN = 6
"""So many sizes are taken as they come: of 64 pictures of COCO, in 9 sizes, that are 59. Each needs
memory on the card, and a second when it comes first."""


class Canvases:
    """The sizes of a model's input; may be used from several threads.

    The first few are the model's own, as on every provider. A picture that would need one more lies
    in one of those or, where it fits none, in one of few larger ones: its margins are wider, and
    answers may differ a little.

    Args:
        resize: the model's own policy.
    """

    def __init__(self, resize: Resize) -> None:
        self._resize = resize
        self._lock = threading.Lock()
        self._own: list[Size] = []
        self._widened = 0

    def keep(self, size: Size) -> None:
        """Takes pictures of this size as they come, however many others there are."""
        with self._lock:
            if size not in self._own:
                self._own.append(size)

    def place(self, geometry: Geometry) -> Geometry:
        """Where a picture lies in the input, of what the model's policy makes of it."""
        if self._resize.mode != "shortest_edge":
            return geometry
        width, height = geometry.size
        with self._lock:
            if geometry.size in self._own:
                return geometry
            if len(self._own) < OWN:
                self._own.append(geometry.size)
                return geometry
            larger = self._resize.roomier(geometry)
            sizes = [one for one in self._own if one[0] >= width and one[1] >= height]
            size = min([*sizes, larger.size], key=lambda one: one[0] * one[1])
            self._widened += size != geometry.size
        return self._resize.within(geometry, size)

    @property
    def remark(self) -> str:
        """What became of pictures beyond the first sizes; "" where there were none."""
        with self._lock:
            if not self._widened:
                return ""
            return (
                f"pictures of more than {OWN} shapes came, and the card plans each size of input "
                f"anew: {self._widened} of them got wider margins, which may change answers a "
                "little; run fewer shapes at once where that matters"
            )
