"""What each sample of a resized row weighs, as FFmpeg's swscale has it where areas are averaged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ACROSS, DOWN = 1 << 14, 1 << 12
"""What the weights of a place come to, along rows and of rows."""
_TOGETHER = {ACROSS: 4, DOWN: 2}
"""Samples that swscale weighs at once: so many more may weigh something."""
_PIXEL = 1 << 16
_NEAR_NOTHING = 0.002


class Weights(NamedTuple):
    """Which samples each place is made of.

    Attributes:
        firsts: int64 [P], the first one.
        shares: int64 [P, T], what it and those behind it weigh.
    """

    firsts: NDArray[np.int64]
    shares: NDArray[np.int64]


def area_weights(samples: int, places: int, unit: int, middle: float = 0.5) -> Weights | None:
    """The weights of swscale's AREA, in whole numbers and with its roundings.

    Where there are fewer places than samples, a sample weighs what it covers of a place; where
    there are more, the two nearest weigh by how near they are. What comes to nearly nothing at
    either end is left out, what lies beyond the row counts for its last sample, and what rounding
    leaves over goes to the next sample (`initFilter` in FFmpeg's libswscale/utils.c, release 8).

    Args:
        samples: of a row, or rows.
        places: of what it is resized to.
        unit: `ACROSS` or `DOWN`.
        middle: how far into the picture the first sample's middle lies, in samples; whole 256ths.

    Returns:
        None where there are too few samples.
    """
    step = ((samples << 16) + places // 2) // places
    at = np.arange(places, dtype=np.int64)
    if step == _PIXEL and middle == 0.5:
        return Weights(at, np.full((places, 1), unit, np.int64))
    off = round(middle * _PIXEL)
    whole = 1 << (54 - min(max(1, samples // places).bit_length() - 1, 8))
    found = (
        _shrunk(samples, at, step, off, whole) if step > _PIXEL else _grown(at, step, off, whole)
    )
    firsts, shares = _without_ends(found, whole * _NEAR_NOTHING, _TOGETHER[unit])
    if shares.shape[1] > samples:
        return None
    return _in_units(_within(firsts, shares, samples), unit)


def _shrunk(samples: int, at: NDArray[np.int64], step: int, off: int, whole: int) -> Weights:
    """Shares of areas; positions are 2**17ths of a sample."""
    places = len(at)
    count = max(1, min(1 + -(-samples // places), samples - 2))
    middles = step * (2 * at + 1) - 2 * off
    firsts = np.fix((middles - (count - 2) * _PIXEL) / (2 * _PIXEL)).astype(np.int64)
    beside = firsts[:, None] + np.arange(count)
    far = (np.abs(beside * 2 * _PIXEL - middles[:, None]) << 13) * places // samples
    beyond = (far - (1 << 29)) * step
    shares = np.clip((1 << 45) - beyond, 0, 1 << 46) * (whole >> 46)
    return Weights(firsts, shares)


def _grown(at: NDArray[np.int64], step: int, off: int, whole: int) -> Weights:
    """Shares by nearness; positions are 2**16ths of a sample."""
    middles = (step >> 1) + at * step - off
    firsts = middles >> 16
    beside = firsts[:, None] + np.arange(2)
    far = np.abs(beside * _PIXEL - middles[:, None])
    return Weights(firsts, np.maximum(whole - far * (whole >> 16), 0))


def _without_ends(found: Weights, least: float, together: int) -> Weights:
    firsts, shares = found.firsts.copy(), found.shares.copy()
    rows, count = np.arange(len(firsts)), shares.shape[1]
    left = np.zeros(len(firsts), np.int64)
    for _ in range(count - 1):
        left += shares[:, 0]
        off = rows[left <= least]
        if not len(off):
            break
        shares[off, :-1], shares[off, -1] = shares[off, 1:], 0
        firsts[off] += 1
    from_right = np.cumsum(shares[:, :0:-1], axis=1)
    most = count - int((from_right <= least).sum(axis=1).min())
    kept = min(count, -(-most // together) * together)
    return Weights(firsts, shares[:, :kept])


def _within(firsts: NDArray[np.int64], shares: NDArray[np.int64], samples: int) -> Weights:
    count = shares.shape[1]
    beside = np.clip(firsts[:, None] + np.arange(count), 0, samples - 1)
    firsts = np.clip(firsts, 0, samples - count)
    inside = np.zeros_like(shares)
    np.add.at(inside, (np.arange(len(firsts))[:, None], beside - firsts[:, None]), shares)
    return Weights(firsts, inside)


def _in_units(found: Weights, unit: int) -> Weights:
    shares = np.empty_like(found.shares)
    one = np.maximum((found.shares.sum(axis=1) + unit // 2) // unit, 1)
    left = np.zeros(len(one), np.int64)
    for at in range(shares.shape[1]):
        wanted = found.shares[:, at] + left
        shares[:, at] = (wanted + (one >> 1)) // one
        left = wanted - shares[:, at] * one
    return Weights(found.firsts, shares)
