"""What `convolve.c` and `vnni.c` do: an int8 network's layers, as operators for ONNX Runtime.

`operators.c` hands the library's functions to the runtime, which gives them a layer's picture and
what is laid out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import ADDRESS, COUNT, NUMBER, Function, Kind, Loops, address_of

TAP, VECTOR, TOGETHER = 4, 8, 16
"""Channels whose products are added at once, answers of which there are to be a multiple, and
channels of which there are to be where each has a filter of its own."""
_ORDER = (0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15)
"""Where sums of sixteen channels lie, after products of two rows were put side by side."""
_REGISTER = 64
"""Bytes of the widest register."""
_WIDTHS = (64, 48, 32, 24, 16, 8)
"""How many answers `vnni.c` can compute together."""
_BESIDE = 4
"""What it takes for sixteen answers of a place beside its pieces, in pieces."""


class Way(IntEnum):
    """What products of bytes are added with, the newer the higher."""

    PAIRED = 1
    """In 16 bits, two pairs of them at once where that fits (AVX2)."""
    VNNI = 2
    """Four at once in 32 bits (AVX-512)."""


class Filters(NamedTuple):
    """A layer's weights as the loops read them.

    Attributes:
        weights: int8.
        order: int32, of the pieces of four channels, for each block of answers.
        blocks: int32 [blocks, 3]: how many answers are computed together, how many pieces they
            read, and how many pairs of these are added in 16 bits.
    """

    weights: NDArray[np.int8]
    order: NDArray[np.int32]
    blocks: NDArray[np.int32]


def of_own(filters: NDArray[np.int8], way: Way) -> Filters:
    """Filters of three by three, each of a channel of its own, laid out.

    Args:
        filters: int8 [C, 1, 3, 3], C a multiple of `TOGETHER`.
        way: that they are computed with.
    """
    nothing = np.zeros(1, np.int32)
    if way is Way.VNNI:
        weights = [
            _columns(filters[at : at + count]).reshape(-1) for at, count in _registers(len(filters))
        ]
        return Filters(np.concatenate(weights), nothing, nothing)
    held = filters.reshape(-1, TOGETHER, 3, 3)[:, _ORDER].reshape(-1, 2, VECTOR, 3, 3)
    # Columns; the two upper rows or the lower one and nothing; halves of the channels.
    laid = np.zeros((len(held), 3, 2, 2, VECTOR, 2), np.int16)
    laid[:, :, 0] = held[..., :2, :].transpose(0, 4, 1, 2, 3)
    laid[:, :, 1, ..., 0] = held[..., 2, :].transpose(0, 3, 1, 2)
    return Filters(laid.reshape(-1).view(np.int8), nothing, nothing)


def by_own(values: NDArray[np.generic], way: Way) -> NDArray[np.generic]:
    """A number for each channel, in the order in which such a layer reads them."""
    if way is Way.VNNI:
        return np.concatenate(
            [
                values[at : at + count].reshape(-1, 4, 4).swapaxes(0, 1).reshape(-1)
                for at, count in _registers(len(values))
            ]
        )
    return values.reshape(-1, TOGETHER)[:, _ORDER].reshape(-1)


def _registers(channels: int) -> Iterator[tuple[int, int]]:
    """Where each register of channels begins, and how many it holds: 64, 32 or 16."""
    at = 0
    for count in (_REGISTER, _REGISTER // 2, _REGISTER // 4):
        while channels - at >= count:
            yield at, count
            at += count


def _columns(filters: NDArray[np.int8]) -> NDArray[np.int8]:
    """Filters of a register's channels, int8 [3 columns, 4 registers, channels / 4, 4 rows].

    Bytes of three rows and nothing are put side by side by halves of every sixteen bytes, so that
    the first quarter of each is in the first register, and so on.
    """
    rows = np.zeros((len(filters), TAP, 3), np.int8)
    rows[:, :3] = filters[:, 0]
    laid = rows.reshape(-1, 4, 4, TAP, 3).transpose(4, 1, 0, 2, 3)
    return laid.reshape(3, 4, -1, TAP)


class Convolve(Loops):
    """Layers of an int8 network."""

    kinds: ClassVar[dict[str, Kind]] = {
        "convolves": ((), NUMBER),
        "paired": ((ADDRESS, COUNT, COUNT, ADDRESS, ADDRESS), COUNT),
    }

    _convolves: Function
    _paired: Function

    def ways(self) -> tuple[Way, ...]:
        """How this processor can compute layers, the newest way first."""
        newest = int(self._convolves())
        return tuple(way for way in sorted(Way, reverse=True) if way <= newest)

    def of_all(self, filters: NDArray[np.int8], way: Way) -> Filters:
        """Filters each of which reads every channel, laid out.

        Args:
            filters: int8 [answers, channels, rows, columns]; answers are a multiple of `VECTOR`,
                channels of `TAP`.
            way: that they are computed with.
        """
        pieces = filters.transpose(0, 2, 3, 1).reshape(len(filters), -1, TAP)
        # Pieces that a block's filters do not weigh are not read.
        weighed = np.any(pieces.reshape(len(pieces) // VECTOR, VECTOR, -1, TAP), (1, 3))
        widths = _few_answers(len(filters)) if way is Way.PAIRED else _cheapest(weighed)
        weights, orders, blocks, at = [], [], [], 0
        for answers in widths:
            read = np.flatnonzero(weighed[at // VECTOR : (at + answers) // VECTOR].any(0))
            block = np.ascontiguousarray(pieces[at : at + answers, read].transpose(1, 0, 2))
            pairs = 0
            if way is Way.PAIRED:
                order, pairs = self._pairs(block)
                read, block = read[order], block[order]
            laid = block.reshape(len(read), answers // VECTOR, VECTOR * TAP)
            both = laid[: 2 * pairs].reshape(pairs, 2, answers // VECTOR, VECTOR * TAP)
            weights += [both.swapaxes(1, 2).reshape(-1), laid[2 * pairs :].reshape(-1)]
            orders.append(read.astype(np.int32))
            blocks.append((answers, len(read), pairs))
            at += answers
        return Filters(np.concatenate(weights), np.concatenate(orders), np.array(blocks, np.int32))

    def _pairs(self, block: NDArray[np.int8]) -> tuple[NDArray[np.int32], int]:
        """An order of pieces in which those come first, two by two, that fit into 16 bits together.

        Args:
            block: int8 [pieces, answers, TAP].
        """
        total, answers = block.shape[:2]
        order = np.empty(total, np.int32)
        room = np.empty(total * (total + 4 * answers + 5) + 4 * answers, np.uint8)
        found = self._paired(address_of(block), total, answers, address_of(order), address_of(room))
        return order, int(found)


def _few_answers(answers: int) -> Iterator[int]:
    """How many answers `convolve.c` computes together, one block after the other."""
    while answers > 0:
        even = [many for many in (24, 32) if answers % many == 0]
        # 24 only where they leave no others than these.
        few = [many for many in (24, 32, 16, 8) if answers >= (48 if many == 24 else many)]
        together = (even or few)[0]
        yield together
        answers -= together


def _cheapest(weighed: NDArray[np.bool_]) -> list[int]:
    """How many answers `vnni.c` is to compute together, one block after the other.

    Args:
        weighed: bool [answers / VECTOR, pieces], whether a filter weighs a piece.
    """
    count = len(weighed)
    best: list[tuple[int, list[int]]] = [(0, [])]
    for end in range(1, count + 1):
        found = []
        for width in _WIDTHS:
            begin = end - width // VECTOR
            if begin < 0:
                continue
            cost, before = best[begin]
            read = int(weighed[begin:end].any(0).sum())
            # A piece is loaded for each place, too.
            cost += read * (width + VECTOR // 2) + width * _BESIDE
            found.append((cost, [*before, width]))
        best.append(min(found))
    return best[-1][1]
