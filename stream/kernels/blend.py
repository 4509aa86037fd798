"""What `blend.c` does: blending samples with others, by shares of 255."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    BLOCK,
    LENGTH,
    NUMBER,
    PLANE,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
)


class Blend(Loops):
    """Blends samples with others."""

    kinds: ClassVar[dict[str, Kind]] = {
        "blend": ((*PLANE, *PLANE, *AREA, NUMBER), None),
        "compose": (
            (*PLANE, *AREA, *PLANE, NUMBER, NUMBER, ADDRESS, *PLANE, ADDRESS),
            None,
        ),
        "held": ((*PLANE, *AREA, ADDRESS), None),
        "put": ((LENGTH, ADDRESS, NUMBER, ADDRESS), None),
        "lay": ((*PLANE, *PLANE, *AREA, NUMBER), None),
    }

    _blend: Function
    _compose: Function
    _held: Function
    _put: Function
    _lay: Function

    def blend(self, samples: NDArray[np.uint8], keep: NDArray[np.uint8], value: int) -> None:
        """Blends one code value into samples, in place.

        Args:
            samples: uint8 [H, W], their columns one after the other in memory.
            keep: the same, 255 (as it was) to 0 (the value).
            value: the code value.
        """
        self._blend(*plane_of(samples), *plane_of(keep), *samples.shape, value)

    def compose(
        self,
        samples: NDArray[np.uint8],
        behind: NDArray[np.uint8] | int,
        larger: int,
        window: tuple[int, int, int, int],
        share: NDArray[np.uint8],
    ) -> None:
        """Puts something else behind objects, in place.

        Args:
            samples: uint8 [H, W], a plane, its columns one after the other in memory.
            behind: one value, or uint8 [H / larger, W / larger], between whose middles samples are
                interpolated.
            larger: 1, 2, 4 or 8.
            window: rows y1 to y2 and columns x1 to x2 of the plane, ends exclusive; elsewhere
                nothing stays.
            share: uint8 of its size, 255 where samples stay to 0 where they do not; its columns one
                after the other in memory.
        """
        rows, columns = samples.shape
        place = np.array(window, np.int64)
        scratch = np.empty(4 * (columns + BLOCK), np.uint8)
        there, value = ((0, 0), behind) if isinstance(behind, int) else (plane_of(behind), 0)
        self._compose(
            *(*plane_of(samples), rows, columns, *there, larger, value),
            *(address_of(place), *plane_of(share), address_of(scratch)),
        )

    def held(self, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """How far each two rows and columns are an object's: as far as any of their pixels is.

        Args:
            alpha: uint8 [H, W], 0 to 255, H and W even; its columns one after the other in memory.

        Returns:
            uint8 [H / 2, W / 2]: four times the mean, 255 at most.
        """
        out = np.empty((alpha.shape[0] // 2, alpha.shape[1] // 2), np.uint8)
        self._held(*plane_of(alpha), *out.shape, address_of(out))
        return out

    def lay(self, samples: NDArray[np.uint8], inside: NDArray[np.uint8], value: int) -> None:
        """Writes a value where a mask is and nothing higher, in place.

        Args:
            samples: uint8 [H, W], their columns one after the other in memory.
            inside: the same, 1 or 0.
            value: 0..255.
        """
        self._lay(*plane_of(samples), *plane_of(inside), *inside.shape, value)

    def put(self, planes: NDArray[np.int64], sprites: NDArray[np.int64]) -> None:
        """Blends small pictures into a large one, the one after the other.

        Args:
            planes: int64 [P, 4] of each of its planes: where in memory its uint8 samples begin, how
                many bytes its rows lie apart, and rows and columns of the first for one of its own.
            sprites: int64 [N, 4 + 2 P] of each: its row, its column, its height and its width in
                samples of the first plane, multiples of those; and for each plane where two arrays
                lie, contiguous: how much stays, of 255, and what is added.
        """
        self._put(len(sprites), address_of(sprites), len(planes), address_of(planes))
