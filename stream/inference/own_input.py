"""A model's input from decoded pictures in one pass of compiled loops, where these are quicker.

They do what `stream.inference.preprocess` has swscale and OpenCV do, to the last bit. Whether the
releases at hand round as ours do is seen on noise, once for each kind of picture.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

import av
import numpy as np
from numpy.typing import NDArray

from stream.inference.area import ACROSS, DOWN, area_weights
from stream.inference.converter import Layout, layout_of
from stream.kernels import Kernels, compiled
from stream.kernels.resample import Scaling, laid_across, laid_down
from stream.pictures.pixels import mixing, plane_view
from stream.pictures.references import Referencer

Mixed = Callable[[av.VideoFrame, int, int], NDArray[np.uint8]]
"""Makes uint8 [H, W, 3] of a frame, given W and H, the way that is to be matched."""

_Kind = tuple[Layout, tuple[int, int]]
"""How a picture's samples lie, and the width and height that are made of it."""
_Scalings = tuple[Scaling, Scaling]
"""Luma's and chroma's."""
_SEEN_BEFORE = 4
"""Pictures of a kind before it is worth while to lay out how that is resized."""
_SPREAD = np.uint32(0x9E3779B1)
"""An odd number whose multiples are spread over all of 32 bits: the golden section of these."""
_KEPT = 256
"""So many kinds are known at once; thousands of photos may each be one."""
_ROUNDED_OTHERWISE = 64
"""OpenCV rounds the last pixels of a picture, fewer than these, by their fractions."""


class OwnInput:
    """Makes RGB of the wanted size of decoded pictures; may be used from several threads."""

    def __init__(self, mixed: Mixed) -> None:
        """Nothing is made before pictures of a kind have come several times.

        Args:
            mixed: what it stands for.
        """
        self._mixed = mixed
        self._seen: dict[_Kind, int] = {}
        self._scalings: dict[_Kind, _Scalings | None] = {}
        self._lock = threading.Lock()

    def __call__(self, frame: av.VideoFrame, out: NDArray[np.uint8]) -> bool:
        """Fills `out`, if pictures of this kind can be.

        Args:
            frame: of any pixel format.
            out: uint8 [H, W, 3], whose pixels lie side by side.

        Returns:
            Whether it was filled; else somebody else has to.
        """
        loops = compiled()
        if loops is None or not loops.resamples() or frame.interlaced_frame:
            return False
        # Where chroma lies is asked of swscale, for nothing if samples are deeper.
        if frame.format.components[0].bits != 8 or (layout := layout_of(frame)) is None:
            return False
        height, width = out.shape[:2]
        kind = (layout, (width, height))
        try:
            scalings = self._scalings[kind]
        except KeyError:
            scalings = self._of(kind, frame, loops)
        if scalings is None:
            return False
        fill(loops, frame, layout, scalings, out)
        return True

    def ready(self) -> list[bool]:
        """Of each kind of pictures that came often enough, whether they are made so."""
        return [scalings is not None for scalings in self._scalings.values()]

    def _of(self, kind: _Kind, frame: av.VideoFrame, loops: Kernels) -> _Scalings | None:
        with self._lock:
            if kind not in self._scalings:
                if len(self._seen) > _KEPT:
                    self._seen.clear()
                    self._scalings.clear()
                seen = self._seen[kind] = self._seen.get(kind, 0) + 1
                if seen <= _SEEN_BEFORE:
                    return None
                made = scalings_of(kind)
                same = made is not None and self._same(loops, _noise_like(frame), kind, made)
                self._scalings[kind] = made if same else None
            return self._scalings[kind]

    def _same(self, loops: Kernels, picture: av.VideoFrame, kind: _Kind, made: _Scalings) -> bool:
        layout, (width, height) = kind
        ours = np.empty((height, width, 3), np.uint8)
        fill(loops, picture, layout, made, ours)
        mine, theirs = ours.reshape(-1), self._mixed(picture, width, height).reshape(-1)
        end = 3 * _ROUNDED_OTHERWISE
        apart = np.abs(mine[-end:] - theirs[-end:].astype(np.int16))
        return bool((mine[:-end] == theirs[:-end]).all() and (apart <= 1).all())


def scalings_of(kind: _Kind) -> _Scalings | None:
    """How each plane is resized; None where these loops cannot."""
    layout, (width, height) = kind
    made = []
    for chroma, size in enumerate((layout.luma, layout.chroma)):
        middles = [0.5, 0.5]
        if chroma:
            middles = [
                0.5 if step == 1 else (at + 0.5) / step
                for at, step in zip(layout.siting, layout.steps, strict=True)
            ]
        across = area_weights(size[0], width, ACROSS, middles[0])
        down = area_weights(size[1], height, DOWN, middles[1])
        if across is None or down is None:
            return None
        apart = 2 if chroma and layout.interleaved else 1
        # The second of two that lie side by side begins a byte later.
        columns = laid_across(*across, apart * size[0] - (apart - 1), apart)
        rows = laid_down(*down)
        if columns is None or rows is None:
            return None
        made.append(Scaling(columns, rows))
    return made[0], made[1]


def fill(
    loops: Kernels,
    frame: av.VideoFrame,
    layout: Layout,
    scalings: _Scalings,
    out: NDArray[np.uint8],
) -> None:
    """Makes RGB uint8 [H, W, 3] of a frame in the size that it was laid out for."""
    luma, *rest = frame.planes
    if layout.interleaved:
        both = plane_view(rest[0], channels=2)
        chroma = [both[..., 0], both[..., 1]]
    else:
        chroma = [plane_view(plane) for plane in rest]
    weights = _weights(layout.matrix, layout.full)
    of_luma, of_chroma = scalings
    loops.resample([plane_view(luma), *chroma], [of_luma, of_chroma, of_chroma], weights, out)


@cache
def _weights(matrix: int, full_range: bool) -> NDArray[np.int32]:
    """What OpenCV's `transform` makes of a matrix for bytes: 1024ths, with a half more added."""
    exact = mixing(matrix, full_range) + np.array([0, 0, 0, 0.5], np.float32)
    return np.rint(1024 * exact).astype(np.int32)


def _noise_like(frame: av.VideoFrame) -> av.VideoFrame:
    """A picture of noise with all that the frame says of its samples."""
    noise = Referencer()(frame)
    noise.make_writable()
    for plane in noise.planes:
        samples: NDArray[np.uint8] = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
        # NumPy's random numbers take 10 ms to be imported, in which a camera's picture waits.
        spread: NDArray[np.uint32] = np.arange(len(samples), dtype=np.uint32)
        spread *= _SPREAD
        spread ^= spread >> 15
        spread *= _SPREAD
        samples[...] = spread >> 24
    return noise
