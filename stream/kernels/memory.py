"""Arrays as C sees them, and how its functions are called."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Samples that are looked at together."""

ADDRESS, LENGTH, NUMBER = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int
FRACTION, REAL, COUNT = ctypes.c_float, ctypes.c_double, ctypes.c_int64
PLANE = (ADDRESS, LENGTH)
"""Where samples lie, and how many bytes one row of them lies after the other."""
AREA = (LENGTH, LENGTH)
"""Rows and columns."""

Function = Callable[..., Any]
Kind = tuple[tuple[Any, ...], Any]
"""What a function takes and what it gives."""


class Loops:
    """Functions of a library; other threads of Python run meanwhile.

    Args:
        library: that was loaded.

    Raises:
        AttributeError: it lacks one.
    """

    kinds: ClassVar[dict[str, Kind]] = {}
    """Those that a class calls, by their names without `stream_`; `_` stands before them here."""

    def __init__(self, library: ctypes.CDLL) -> None:
        for base in type(self).__mro__:
            for name, (takes, gives) in vars(base).get("kinds", {}).items():
                function = getattr(library, f"stream_{name}")
                function.argtypes, function.restype = takes, gives
                setattr(self, f"_{name}", function)


def address_of(array: NDArray[Any]) -> int:
    """Where the first number of an array lies in memory, as long as somebody holds the array."""
    if (
        array.size and array.flags.carray
    ):  # In a fifth of the time, which counts: painting asks often.
        # That arrays are buffers types do not say before Python 3.12.
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    address: int = array.__array_interface__["data"][0]
    return address


def plane_of(array: NDArray[Any]) -> tuple[int, int]:
    """Where an array lies in memory, and how many bytes one row of it lies after the other."""
    return address_of(array), array.strides[0]


class _Scratch(threading.local):
    """Each thread's memory for what loops make on the way."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)
        self.address = 0


_SCRATCH = _Scratch()


def scratch_of(count: int) -> int:
    """Where so many bytes of any content lie, until this thread asks for the next.

    Fresh memory of this size would come from the system page by page at each call.
    """
    if len(_SCRATCH.memory) < count:
        _SCRATCH.memory = np.empty(count, np.uint8)
        _SCRATCH.address = address_of(_SCRATCH.memory)
    return _SCRATCH.address
