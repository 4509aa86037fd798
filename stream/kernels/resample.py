"""What `resample.c` does: resizing a picture's planes and mixing them into colours, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    LENGTH,
    NUMBER,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
    scratch_of,
)

GROUP, LOADED, TAPS = 16, 16, 4
"""Places of a row that are computed together, samples that are looked at for a quarter of them, and
samples that are weighed at once for each."""
_QUARTERS = GROUP // TAPS
_TURNS = (1, 2, 4)
"""How many times a quarter's samples are loaded, as they lie farther apart."""
_MOST_DEEP = 64


class Across(NamedTuple):
    """How rows of a plane are resized.

    Attributes:
        starts: int32 [groups, pieces, 4], the first sample that is loaded for each quarter.
        picks: int8 [groups, pieces, 4, 16], of what is loaded four samples of each place.
        weights: int16 [groups, pieces, 2, 2, 2, 4, 2] of these, of 16384: one quarter of each half
            and then the other, even samples and then odd ones, halves, places, two samples.
    """

    starts: NDArray[np.int32]
    picks: NDArray[np.int8]
    weights: NDArray[np.int16]


class Down(NamedTuple):
    """Which rows each row of the answer is made of.

    Attributes:
        firsts: int32 [H], the first.
        shares: int16 [H, R] of each, of 4096; R is even.
    """

    firsts: NDArray[np.int32]
    shares: NDArray[np.int16]


class Scaling(NamedTuple):
    """How a plane becomes one of the answer's size."""

    across: Across
    down: Down


def laid_across(
    firsts: NDArray[np.int64],
    weights: NDArray[np.int64],
    count: int,
    apart: int = 1,
) -> Across | None:
    """Lays out how rows are resized.

    Args:
        firsts: int64 [W], the first sample that each place is made of.
        weights: int64 [W, T], of it and those behind it, of 16384.
        count: bytes of a row.
        apart: bytes from one sample to the next.

    Returns:
        None where a row is shorter than what is loaded at once.
    """
    if count < LOADED:
        return None
    places = -(-len(firsts) // GROUP) * GROUP
    pieces = -(-weights.shape[1] // TAPS)
    first = np.concatenate([firsts, np.full(places - len(firsts), firsts[-1])])
    weighed = np.zeros((places, pieces * TAPS), np.int64)
    weighed[: len(firsts), : weights.shape[1]] = weights
    at = apart * (first[:, None] + np.arange(pieces * TAPS))
    # groups, pieces, places, samples
    split = (places // GROUP, GROUP, pieces, TAPS)
    at, weighed = (part.reshape(split).transpose(0, 2, 1, 3) for part in (at, weighed))
    for turns in _TURNS:
        taken = _in_turns(weighed, turns)
        shape = (places // GROUP, pieces * turns, _QUARTERS, LOADED)
        reach = np.where(taken != 0, np.repeat(at, turns, axis=1), count).reshape(shape)
        starts = np.minimum(reach.min(axis=-1), count - LOADED)
        picks = np.where(reach < count, reach - starts[..., None], 0)
        if picks.max() < LOADED:
            break
    # Quarters 0 and 2 are computed together, and 1 and 3.
    sides = taken.reshape(*taken.shape[:2], 2, 2, TAPS, 2, 2)
    laid = sides.transpose(0, 1, 3, 6, 2, 4, 5)
    return Across(
        np.ascontiguousarray(starts, np.int32),
        np.ascontiguousarray(picks, np.int8),
        np.ascontiguousarray(laid, np.int16),
    )


def _in_turns(weighed: NDArray[np.int64], turns: int) -> NDArray[np.int64]:
    """Each piece several times, with some of a quarter's places each time."""
    places = np.arange(GROUP) % TAPS // (TAPS // turns)
    taken = [np.where((places == turn)[:, None], weighed, 0) for turn in range(turns)]
    return np.stack(taken, axis=2).reshape(weighed.shape[0], -1, *weighed.shape[2:])


def laid_down(firsts: NDArray[np.int64], shares: NDArray[np.int64]) -> Down | None:
    """Lays out which rows each row of the answer is made of.

    Args:
        firsts: int64 [H], the first.
        shares: int64 [H, T] of it and those behind it, of 4096.

    Returns:
        None where these are more than can be looked at together.
    """
    if shares.shape[1] > _MOST_DEEP:
        return None
    even = np.zeros((len(firsts), -(-shares.shape[1] // 2) * 2), np.int16)
    even[:, : shares.shape[1]] = shares
    return Down(np.ascontiguousarray(firsts, np.int32), even)


class Resample(Loops):
    """Makes RGB of the wanted size of three planes."""

    kinds: ClassVar[dict[str, Kind]] = {
        "resamples": ((), NUMBER),
        "resample": ((ADDRESS, ADDRESS, ADDRESS, LENGTH, LENGTH, LENGTH, ADDRESS), None),
    }

    _resamples: Function
    _resample: Function

    def resamples(self) -> bool:
        """Whether these loops are quicker than what they stand for, which wants AVX2."""
        return bool(self._resamples())

    def resample(
        self,
        planes: Sequence[NDArray[np.uint8]],
        scalings: Sequence[Scaling],
        weights: NDArray[np.int32],
        out: NDArray[np.uint8],
    ) -> None:
        """Resizes three planes and mixes them.

        Args:
            planes: uint8, Y, U and V, of the sizes that the scalings were laid out for; bytes of a
                row lie side by side.
            scalings: of each.
            weights: int32 [3, 4], contiguous: in each colour, of Y, U and V and what is added, in
                1024ths.
            out: uint8 [H, W, 3] of RGB, whose pixels lie side by side.
        """
        told = []
        rows, columns = out.shape[:2]
        deep = 0
        for plane, (across, down) in zip(planes, scalings, strict=True):
            told += [
                *plane_of(plane),
                *(address_of(across.starts), address_of(across.picks), address_of(across.weights)),
                across.starts.shape[1],
                *(address_of(down.firsts), address_of(down.shares), down.shares.shape[1]),
                len(plane),
            ]
            deep += down.shares.shape[1]
        numbers = np.array(told, np.int64)
        self._resample(
            *(address_of(numbers), address_of(weights), *plane_of(out), rows, columns),
            scratch_of(2 * deep * -(-columns // GROUP) * GROUP),
        )
