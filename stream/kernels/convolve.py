"""What `convolve.c` does: layers of an int8 network, as operators that ONNX Runtime calls.

`operators.c` hands the library's functions to the runtime, which gives them a layer's picture and
what is laid out here.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import ADDRESS, COUNT, NUMBER, Function, Kind, Loops, address_of

TAP, VECTOR, TOGETHER = 4, 8, 16
"""Channels whose products are added at once, answers in a register, and channels that are computed
together where each has a filter of its own."""
_ORDER = (0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15)
"""Where sums of sixteen channels lie, after products of two rows were put side by side."""


class Filters(NamedTuple):
    """A layer's weights as `convolve.c` reads them.

    Attributes:
        weights: int8.
        order: int32, of the pieces of four channels, for each block of answers.
        pairs: int32, how many pairs of them are added in 16 bits, for each block.
    """

    weights: NDArray[np.int8]
    order: NDArray[np.int32]
    pairs: NDArray[np.int32]


def of_own(filters: NDArray[np.int8]) -> Filters:
    """Filters of three by three, each of a channel of its own, laid out.

    Args:
        filters: int8 [C, 1, 3, 3], C a multiple of `TOGETHER`.
    """
    held = filters.reshape(-1, TOGETHER, 3, 3)[:, _ORDER].reshape(-1, 2, VECTOR, 3, 3)
    # Columns; the two upper rows or the lower one and nothing; halves of the channels.
    laid = np.zeros((len(held), 3, 2, 2, VECTOR, 2), np.int16)
    laid[:, :, 0] = held[..., :2, :].transpose(0, 4, 1, 2, 3)
    laid[:, :, 1, ..., 0] = held[..., 2, :].transpose(0, 3, 1, 2)
    nothing = np.zeros(1, np.int32)
    return Filters(laid.reshape(-1).view(np.int8), nothing, nothing)


def by_own(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """A number for each channel, in the order in which such a layer reads them."""
    return values.reshape(-1, TOGETHER)[:, _ORDER].reshape(-1)


class Convolve(Loops):
    """Layers of an int8 network."""

    kinds: ClassVar[dict[str, Kind]] = {
        "convolves": ((), NUMBER),
        "answers_together": ((COUNT,), COUNT),
        "paired": ((ADDRESS, COUNT, COUNT, ADDRESS, ADDRESS), COUNT),
    }

    _convolves: Function
    _answers_together: Function
    _paired: Function

    def convolves(self) -> bool:
        """Whether this processor can compute layers so."""
        return bool(self._convolves())

    def of_all(self, filters: NDArray[np.int8]) -> Filters:
        """Filters each of which reads every channel, laid out.

        Args:
            filters: int8 [answers, channels, rows, columns]; answers are a multiple of `VECTOR`,
                channels of `TAP`.
        """
        count = len(filters)
        pieces = filters.transpose(0, 2, 3, 1).reshape(count, -1, TAP)
        total, at = pieces.shape[1], 0
        weights, orders, pairs = [], [], []
        while at < count:
            answers = self._answers_together(count - at)
            block = np.ascontiguousarray(pieces[at : at + answers].transpose(1, 0, 2))
            order = np.empty(total, np.int32)
            room = np.empty(total * (total + 4 * answers + 5) + 4 * answers, np.uint8)
            found = self._paired(
                address_of(block), total, answers, address_of(order), address_of(room)
            )
            laid = block[order].reshape(total, answers // VECTOR, VECTOR * TAP)
            both = laid[: 2 * found].reshape(found, 2, answers // VECTOR, VECTOR * TAP)
            weights += [both.swapaxes(1, 2).reshape(-1), laid[2 * found :].reshape(-1)]
            orders.append(order)
            pairs.append(found)
            at += answers
        return Filters(np.concatenate(weights), np.concatenate(orders), np.array(pairs, np.int32))
