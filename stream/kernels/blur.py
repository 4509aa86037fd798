"""What `blur.c` does: planes made small, without what objects have of them, and out of focus."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    BLOCK,
    FRACTION,
    LENGTH,
    NUMBER,
    PLANE,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
)

MOST_HALVINGS = 8
"""How often a plane is made half as large at once, at most."""
MOST_REACH = 4
"""How many samples a disc reaches from its middle, at most."""
_LANES = 8


class Blur(Loops):
    """Makes planes small, and spreads their samples over discs."""

    kinds: ClassVar[dict[str, Kind]] = {
        "cut": ((*PLANE, NUMBER, ADDRESS, *AREA, NUMBER, *(ADDRESS,) * 3), None),
        "given": ((ADDRESS, ADDRESS, NUMBER, ADDRESS, LENGTH, ADDRESS), None),
        "disc": (
            (ADDRESS, ADDRESS, *AREA, ADDRESS, NUMBER, FRACTION, *(ADDRESS,) * 4),
            NUMBER,
        ),
    }

    _cut: Function
    _given: Function
    _disc: Function

    def cut(
        self, samples: NDArray[np.uint8], clear: NDArray[np.uint8], halvings: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A plane, as small as is asked for by halving, with and without what is not clear.

        Args:
            samples: uint8, of the size of `clear` or of twice that; their columns one after the
                other in memory.
            clear: uint8 [H, W], contiguous, 255 where all of a sample counts to 0 where nothing.
            halvings: how often `clear`'s size is halved, at most `MOST_HALVINGS`; H and W are
                multiples of 2 to that power.

        Returns:
            uint8 of the small size: all of it, and zero where nothing is clear.
        """
        rows, columns = clear.shape
        size = (rows >> halvings, columns >> halvings)
        out, alone = np.empty(size, np.uint8), np.empty(size, np.uint8)
        scratch = np.empty(8 * columns + 2 * BLOCK, np.uint8)
        self._cut(
            *(*plane_of(samples), samples.shape != clear.shape, address_of(clear)),
            *(rows, columns, halvings),
            *(address_of(out), address_of(alone), address_of(scratch)),
        )
        return out, alone

    def halved(self, samples: NDArray[np.uint8], halvings: int) -> NDArray[np.uint8]:
        """A plane made small by halving.

        Args:
            samples: uint8 [H, W], their columns one after the other in memory.
            halvings: how often, at most `MOST_HALVINGS`; H and W are multiples of 2 to that power.
        """
        rows, columns = samples.shape
        out = np.empty((rows >> halvings, columns >> halvings), np.uint8)
        scratch = np.empty(8 * columns + 2 * BLOCK, np.uint8)
        self._cut(
            *(*plane_of(samples), False, None, rows, columns, halvings),
            *(address_of(out), None, address_of(scratch)),
        )
        return out

    def given(
        self,
        luma: NDArray[np.uint8],
        behind: NDArray[np.uint8],
        least: int,
        weights: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """How much each sample gives to those around it.

        Args:
            luma: uint8 [H, W], contiguous, as far as it is behind objects.
            behind: the same, how far each sample is that, of 255.
            least: as how much that counts at least, 1 and more.
            weights: float32 [256], how much each luma gives.

        Returns:
            float32 [H, W]: the weight of luma times 255 over behind, rounded, 255 at most.
        """
        out = np.empty(luma.shape, np.float32)
        self._given(
            *(address_of(luma), address_of(behind), least),
            *(address_of(weights), luma.size, address_of(out)),
        )
        return out

    def disc_total(
        self,
        given: NDArray[np.float32],
        behind: NDArray[np.uint8],
        disc: NDArray[np.float32],
        least: float,
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """How much comes to each sample at most.

        Args:
            given: float32 [H, W], contiguous, how much each gives.
            behind: uint8 [H, W], contiguous, how far each is behind objects, of 255.
            disc: float32 [R + 1, R + 1], contiguous, a quarter of a disc, which is the same in all
                four, with the middle first; R is 1 to `MOST_REACH`.
            least: what it is at least.

        Returns:
            float32 [H, W], and bool [H, W] where it would be no more than the least; None where it
            is so nowhere. Beyond its edge a plane goes on as in a mirror, whose middle is the
            outermost sample.
        """
        total = np.empty(given.shape, np.float32)
        lost = np.empty(given.shape, np.bool_)
        scratch = _scratch(given.shape[1], len(disc))
        share = np.asarray(disc * np.float32(1 / 255))
        some = self._disc(
            *(address_of(behind), address_of(given), *given.shape),
            *(address_of(share), len(disc) - 1, least, address_of(total)),
            *(address_of(lost), None, address_of(scratch)),
        )
        return total, lost if some else None

    def disc_mean(
        self,
        plane: NDArray[np.uint8],
        given: NDArray[np.float32],
        disc: NDArray[np.float32],
        total: NDArray[np.float32],
    ) -> NDArray[np.uint8]:
        """Samples spread over a disc, each as much as it gives.

        Args:
            plane: uint8 [H, W], contiguous.
            given: as for `disc_total`.
            disc: the same.
            total: from there.

        Returns:
            uint8 [H, W], rounded.
        """
        out = np.empty(plane.shape, np.uint8)
        scratch = _scratch(plane.shape[1], len(disc))
        self._disc(
            *(address_of(plane), address_of(given), *plane.shape),
            *(address_of(disc), len(disc) - 1, 0.0, address_of(total)),
            *(None, address_of(out), address_of(scratch)),
        )
        return out


def _scratch(columns: int, side: int) -> NDArray[np.float32]:
    """Memory for the rows that a disc of so many samples to its edge takes."""
    return np.empty(3 * side * (columns + 4 * _LANES), np.float32)
