"""What C libraries write into the terminal, heard instead, so that the program says it itself."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_PHOTOS = re.compile(r"libpng|JPEG|JFIF|Adobe|SOS|progression")
"""In lines of libpng's and libjpeg's."""
_TAKEN = threading.RLock()


class _Library(NamedTuple):
    """The C library, and the two streams.

    Ours is never closed: another thread may have taken it up and not written to it yet.

    Attributes:
        calls: its functions.
        stream: where it keeps the stream that errors are written to.
        ours: a stream into memory.
        text: where its text begins, up to date after a flush.
        size: how long it is, in bytes.
    """

    calls: ctypes.CDLL
    stream: ctypes.c_void_p
    ours: int
    text: ctypes.c_void_p
    size: ctypes.c_size_t

    def taken(self) -> bytes:
        """What was written to ours since this was last asked."""
        self.calls.flockfile(self.ours)
        self.calls.fflush(self.ours)
        said = ctypes.string_at(self.text.value, self.size.value) if self.text.value else b""
        self.calls.rewind(self.ours)
        self.calls.funlockfile(self.ours)
        return said


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Within it, what libraries say of photos goes into the list that is given, at its end.

    They write to C's own `stderr`, which neither Python nor a child process uses, and which glibc
    lets others be put in the place of. With another C library the list stays empty, and lines are
    in the terminal as ever. What others write meanwhile goes there too, a moment later.
    """
    heard: list[str] = []
    library = _glibc()
    if library is None:
        yield heard
        return
    with _TAKEN:
        before, library.stream.value = library.stream.value, library.ours
        try:
            yield heard
        finally:
            library.stream.value = before
            heard += _kept(library.taken())


def _kept(said: bytes) -> list[str]:
    """The lines on photos; others are written where they were meant to go."""
    lines = said.splitlines(keepends=True)
    of_photos = [line for line in lines if _PHOTOS.search(line.decode(errors="replace"))]
    others = b"".join(line for line in lines if line not in of_photos)
    if others:
        os.write(2, others)
    return [line.decode(errors="replace").strip() for line in of_photos]


@functools.cache
def _glibc() -> _Library | None:
    """The C library where it is glibc; others keep their streams where they cannot be changed."""
    try:
        # Asked for by its name, as Windows has none.
        told = getattr(os, "confstr", None)
        if told is None or not told("CS_GNU_LIBC_VERSION"):
            return None
        calls = ctypes.CDLL(None)
        stream = ctypes.c_void_p.in_dll(calls, "stderr")
        calls.open_memstream.restype = ctypes.c_void_p
        calls.open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        for call in (calls.fflush, calls.rewind, calls.flockfile, calls.funlockfile):
            call.argtypes = [ctypes.c_void_p]
    except (OSError, ValueError, AttributeError):
        return None
    text, size = ctypes.c_void_p(), ctypes.c_size_t()
    ours = calls.open_memstream(ctypes.byref(text), ctypes.byref(size))
    return _Library(calls, stream, ours, text, size) if ours else None
