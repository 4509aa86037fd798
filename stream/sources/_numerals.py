"""Decimal points for FFmpeg, whatever the locale of the process is."""

from __future__ import annotations

import ctypes
import functools
import locale
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from stream.types import AnyPacket

# LC_NUMERIC_MASK of C's locale.h, as macOS and Linux's libraries number it.
_NUMERIC = 1 << 4 if sys.platform == "darwin" else 1 << 1


class _Locales(NamedTuple):
    """The C library's call for the calling thread's locale, and one whose numbers have points."""

    use: ctypes._NamedFuncPointer
    plain: int


@contextmanager
def decimal_points() -> Iterator[None]:
    """Within it, numbers in playlists are read as they are written, in the calling thread.

    FFmpeg reads them with C's functions, which want a comma in a German or French locale: `1.9`
    seconds are one then. Windows of GTK and Qt set such a one, and programs do.
    """
    if locale.localeconv()["decimal_point"] == "." or (locales := _locales()) is None:
        yield
        return
    before = locales.use(locales.plain)
    try:
        yield
    finally:
        locales.use(before)


def read_plainly(packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
    """The packets, each read with decimal points, as of a playlist that is read again and again.

    Args:
        packets: as they are demuxed.
    """
    while True:
        with decimal_points():
            packet = next(packets, None)
        if packet is None:
            return
        yield packet


@functools.cache
def _locales() -> _Locales | None:
    """None where the system knows no locale of a single thread."""
    try:
        library = ctypes.CDLL(None)
        new, use = library.newlocale, library.uselocale
    except (OSError, AttributeError, TypeError):  # Windows
        return None
    new.restype = use.restype = ctypes.c_void_p
    new.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
    use.argtypes = [ctypes.c_void_p]
    plain = new(_NUMERIC, b"C", None)
    return _Locales(use, plain) if plain else None
