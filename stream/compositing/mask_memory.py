"""Memory for the masks of a frame, kept from frame to frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST = 32 << 20
"""Bytes of pasted masks that are kept for the layers of a frame; the rest are pasted anew for each:
ten persons who fill a picture of 1920x1080, five hundred who take a thirtieth of it each."""


class Memory:
    """What masks are pasted into, kept from frame to frame. One thread at a time.

    Fresh memory of this size comes from the system page by page, which costs more than filling it,
    and what was written last is still in the processor's cache.

    Attributes:
        kept: whether what was taken last is that mask's until the next frame; else the next mask
            gets the same memory.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._block = np.empty(0, np.bool_)
        self._planes: dict[str, NDArray[np.uint8]] = {}
        self._scratch: dict[str, NDArray[np.uint8]] = {}
        self._wanted = 0
        self.kept = True

    def plane(self, key: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """A plane of zeros, uint8 of a (height, width), that is kept under a name."""
        if key not in self._planes or self._planes[key].shape != size:
            self._planes[key] = np.zeros(size, np.uint8)
        else:
            self._planes[key].fill(0)
        return self._planes[key]

    def scratch(self, key: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Memory of any content, uint8 of a (height, width), until a name is used again."""
        pixels = size[0] * size[1]
        kept = self._scratch.get(key)
        if kept is None or len(kept) < pixels:
            kept = self._scratch[key] = np.empty(pixels, np.uint8)
        return kept[:pixels].reshape(size)

    def reset(self) -> None:
        """For the next frame: what was taken may be handed out again."""
        if len(self._block) < min(self._most, self._wanted):
            self._block = np.empty(min(self._most, self._wanted * 5 // 4), np.bool_)
        self._wanted = 0

    @property
    def rest(self) -> NDArray[np.uint8]:
        """What is at hand for the frame's next masks: where `take` begins, if it suffices."""
        return self._block[self._wanted :].view(np.uint8)

    def take_within(self, pixels: int) -> NDArray[np.bool_] | None:
        """The same where it is its own until the next frame; None where that would be too much."""
        return self.take(pixels) if self._wanted + pixels <= self._most else None

    def take(self, pixels: int) -> NDArray[np.bool_]:
        """Memory for a mask, bool [pixels]; `kept` says whether it is its own for the frame."""
        self._wanted += pixels
        self.kept = self._wanted <= self._most
        if not self.kept:
            return np.asarray(self.scratch("mask", (1, pixels))[0].view(np.bool_))
        if self._wanted > len(self._block):  # It has the right size from the next frame on.
            return np.empty(pixels, np.bool_)
        return self._block[self._wanted - pixels : self._wanted]
