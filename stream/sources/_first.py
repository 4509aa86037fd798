"""What comes of the first connection to an address, and of a way that is tried beside it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from stream.errors import SourceError
from stream.sources._connecting import Way
from stream.sources._opened import Opened
from stream.sources.stream_reader import Ended, StreamReader

_log = logging.getLogger(__name__)

HINT_SECONDS = 2.0
"""After which somebody who waits for a key frame is told so."""

KEY_FRAME = "waiting for the source's next key frame"

_BESIDE = 1.0
"""Seconds without a packet after which another way is tried beside the first."""
_OFTEN = 0.1
"""Seconds between two looks at both."""

Told = Callable[[str], None]
"""Is told in words what a source that is being opened waits for."""

_TELLS: ContextVar[Told | None] = ContextVar("tells", default=None)


@contextmanager
def telling(told: Told) -> Iterator[None]:
    """What this thread opens meanwhile tells `told` what it waits for, besides the log.

    While a source is being opened there is nothing yet whose `notes` could be asked.
    """
    before = _TELLS.set(told)
    try:
        yield
    finally:
        _TELLS.reset(before)


def _tell(words: str) -> None:
    told = _TELLS.get()
    if told is not None:
        told(words)


class First:
    """Waits for the first picture of an address.

    Args:
        name: the address, for people.
        way: how it is opened.
        connect: begins a connection.
        opening: seconds after which one that brings no packet is given up.
        reading: seconds between two packets, later.

    Attributes:
        way: by which the picture came.
        reader: the connection that is read.
    """

    def __init__(
        self,
        name: str,
        way: Way,
        connect: Callable[[Way], StreamReader],
        *,
        opening: float,
        reading: float,
    ) -> None:
        self._name, self._connect = name, connect
        self._opening, self._reading = opening, reading
        self._began = time.monotonic()
        self._beside = way.beside
        self._rival: StreamReader | None = None
        self.way, self.reader = way, connect(way)

    def outcome(self) -> Opened | Ended:
        """What comes of it. As long as packets come the next key frame may be a minute away.

        Raises:
            SourceError: nothing comes.
        """
        try:
            return self._wait()
        finally:
            if self._rival is not None:
                self._rival.stop()

    def _wait(self) -> Opened | Ended:
        said = told = False
        begun = self._began
        while True:
            now, reader = time.monotonic(), self.reader
            if self.way.listens and not reader.heard:
                self._began = now  # it begins when somebody calls
                if not told and now - begun > HINT_SECONDS:
                    told = True
                    _log.warning("%s: waiting for somebody to send there", self._name)
                    _tell("waiting for somebody to send there")
            silent = now - (reader.heard or self._began)
            patience = self._reading if reader.heard else self._opening
            if silent > patience:
                raise SourceError(f"nothing came from {self._name} within {patience:g} s")
            if now - self._began > self.way.for_a_picture:
                return Ended(SourceError(f"{self._name} sends, but no picture can be decoded"))
            two = self._beside is not None
            event = reader.events.take(_OFTEN if two else HINT_SECONDS)
            if reader.opened is not None:
                return reader.opened
            if isinstance(event, Ended):
                return event
            if reader.heard and not said and now - self._began > HINT_SECONDS:
                said = True
                _log.warning("%s sends; waiting for its next key frame", self._name)
                _tell(KEY_FRAME)
            if two and not reader.heard and now - self._began > _BESIDE:
                opened = self._other()
                if opened is not None:
                    return opened

    def _other(self) -> Opened | None:
        """What the other way has brought so far; begins it where it was not yet."""
        assert self._beside is not None
        rival = self._rival = self._rival or self._connect(self._beside)
        over = not rival.alive
        if rival.opened is not None:
            self._rival = None
            self.reader.stop()
            self.reader, self.way = rival, self._beside
            return rival.opened
        if over:
            self._beside = self._rival = None
        return None
